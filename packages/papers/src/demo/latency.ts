import type { Dataset } from '@imago/data'
import { predictor } from '@imago/runtime'

/** Median milliseconds of a prediction for one row, through ONNX Runtime with one thread, after a warm-up. */
export async function latency(
  path: string,
  data: Dataset,
  clock: () => number,
  options: { readonly runs?: number; readonly signal?: AbortSignal } = {},
): Promise<number> {
  const { runs = 200, signal } = options
  const predict = await predictor(path, { threads: 1 })
  try {
    const rows = Array.from({ length: 20 }, (_, i) => data.rows(Uint32Array.of(i % data.length)).inputs)
    const times: number[] = []
    for (let run = -rows.length; run < runs; run++) {
      const inputs = rows[Math.abs(run) % rows.length]!
      const start = clock()
      await predict(inputs, signal)
      if (run >= 0) times.push(clock() - start)
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!
  } finally {
    await predict.dispose()
  }
}
