import type { Parts } from './report.js'
import type { Meter } from './state.js'

export const emptyMeter: Meter = { rows: 0, loss: 0, parts: {}, rate: 0 }

/** The sums with one more batch of `rows` rows, whose `loss` and `parts` are means over them. */
export function measure(meter: Meter, rows: number, loss: number, parts: Parts, rate: number): Meter {
  const sums: { [name: string]: number } = { ...meter.parts }
  for (const name in parts) sums[name] = (sums[name] ?? 0) + rows * parts[name]!
  return { rows: meter.rows + rows, loss: meter.loss + rows * loss, parts: sums, rate }
}

/** Means over the rows measured. */
export function means(meter: Meter): { loss: number; parts: Parts } {
  const rows = Math.max(1, meter.rows)
  const parts = Object.fromEntries(Object.entries(meter.parts).map(([name, sum]) => [name, sum / rows]))
  return { loss: meter.loss / rows, parts }
}
