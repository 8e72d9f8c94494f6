import type { Store } from './open-store.js'

/** What compact rows cost. */
export interface CompactCost {
  /** Rows that were looked at. */
  readonly rows: number
  /** The widest step between two levels, nats. */
  readonly step: number
  /** T²·KL(teacher ‖ store) of any of these rows is at most this at every T, and 8·10⁻⁸·T² more: step²/8, nats. */
  readonly bound: number
}

/** What the first rows of a compact store cost at most (Hoeffding's lemma); undefined for a store that is not compact. */
export async function compactCost(store: Store, rows = 4096): Promise<CompactCost | undefined> {
  const { encoding } = store.identity
  if (encoding.kind !== 'compact') return undefined
  const places = Float64Array.from({ length: Math.min(rows, store.rows) }, (_, i) => i)
  const { targets } = await store.read(places)
  let width = 0
  for (const value of targets.values!.data as Float32Array)
    if (value !== Number.NEGATIVE_INFINITY && -value > width) width = -value
  const step = width / (2 ** encoding.bits - 2)
  return { rows: places.length, step, bound: step ** 2 / 8 }
}
