import type { Batches } from '@imago/data'
import { type Targets, type Tensor, type TensorMap, tensorMap, zeros } from '@imago/tensor'
import type { Report } from './report.js'

/**
 * Targets that are computed once for every row of `data` and then read from memory. One pass over epoch 0: the same batches
 * each time, so that a resumed run has the same bits. Gives the source itself back where they do not fit into `limit` bytes.
 */
export async function* rememberTargets(
  source: Targets,
  data: Batches,
  limit: number,
  signal?: AbortSignal,
): AsyncGenerator<Report, Targets> {
  const rowOf = new Map<number, number>()
  const kept: { [name: string]: Tensor } = tensorMap()
  let rows = 0
  for await (const batch of data.epoch(0)) {
    signal?.throwIfAborted()
    const given = await source({ ids: batch.ids, inputs: batch.inputs }, signal)
    const count = batch.ids.length
    if (rows === 0) {
      const need = (data.rows / count) * Object.values(given).reduce((sum, { data }) => sum + byteLength(data), 0)
      const split = Object.values(given).every(({ type, dims }) => type !== 'string' && dims[0] === count)
      if (!split || need > limit) {
        yield { kind: 'warning', message: why(split, need, limit) }
        return source
      }
      for (const name in given) kept[name] = zeros(given[name]!.type, [data.rows, ...given[name]!.dims.slice(1)])
    }
    for (const name in kept) copyRows(given[name]!, 0, kept[name]!, rows, count)
    for (let row = 0; row < count; row++) rowOf.set(batch.ids[row]!, rows + row)
    rows += count
    yield { kind: 'targets', rows, of: data.rows }
  }
  return async (query, abort) => {
    const places = [...query.ids].map((id) => rowOf.get(id))
    // Rows that epoch 0 left out (a last batch that is dropped): the whole batch goes to the source.
    if (places.some((place) => place === undefined)) return source(query, abort)
    return gather(kept, places as number[])
  }
}

function gather(kept: TensorMap, places: readonly number[]): TensorMap {
  const out = tensorMap()
  for (const name in kept) {
    const from = kept[name]!
    out[name] = zeros(from.type, [places.length, ...from.dims.slice(1)])
    places.forEach((place, row) => {
      copyRows(from, place, out[name]!, row, 1)
    })
  }
  return out
}

function copyRows(from: Tensor, fromRow: number, to: Tensor, toRow: number, count: number): void {
  const width = to.data.length / Math.max(1, to.dims[0]!)
  const source = from.data as Float32Array
  ;(to.data as Float32Array).set(source.subarray(fromRow * width, (fromRow + count) * width), toRow * width)
}

function byteLength(data: Tensor['data']): number {
  return ArrayBuffer.isView(data) ? data.byteLength : Number.POSITIVE_INFINITY
}

function why(split: boolean, need: number, limit: number): string {
  return split
    ? `the targets of all rows need ${Math.ceil(need / 2 ** 20)} MiB and ${Math.floor(limit / 2 ** 20)} MiB are allowed: they are computed anew in every epoch`
    : 'the targets have no row for each sample: they are computed anew in every epoch'
}
