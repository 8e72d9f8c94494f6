import type { ShardTable } from './shard.js'

/** From the ids of samples to their places in the store, and back. */
export interface RowIndex {
  readonly rows: number
  /** The place of each id; −1 where it is not there. */
  find(ids: Uint32Array): Float64Array
  ids(from: number, to: number): Uint32Array
}

/** Ids that are consecutive over all shards need no memory; others are sorted: 8 bytes a row. */
export function rowIndex(tables: readonly ShardTable[], shardRows: number, rows: number): RowIndex {
  const first = tables[0]?.ids.first ?? 0
  const consecutive = tables.every(({ ids }, i) => ids.list === undefined && ids.first === first + i * shardRows)
  const idAt = (place: number): number => {
    const { ids } = tables[Math.floor(place / shardRows)]!
    const row = place % shardRows
    return ids.list === undefined ? ids.first + row : ids.list[row]!
  }
  const ids = (from: number, to: number): Uint32Array =>
    Uint32Array.from({ length: Math.max(0, Math.min(to, rows) - from) }, (_, i) => idAt(from + i))
  if (consecutive)
    return {
      rows,
      ids,
      find: (wanted) => Float64Array.from(wanted, (id) => (id >= first && id - first < rows ? id - first : -1)),
    }

  const all = ids(0, rows)
  const order = Uint32Array.from(all.keys()).sort((a, b) => all[a]! - all[b]! || a - b)
  return {
    rows,
    ids,
    find: (wanted) =>
      Float64Array.from(wanted, (id) => {
        let [low, high] = [0, rows]
        while (low < high) {
          const middle = (low + high) >>> 1
          if (all[order[middle]!]! < id) low = middle + 1
          else high = middle
        }
        return low < rows && all[order[low]!] === id ? order[low]! : -1
      }),
  }
}
