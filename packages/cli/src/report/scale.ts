/** A linear map from data to pixels with ticks at round numbers. */
export interface Scale {
  (value: number): number
  readonly ticks: readonly number[]
}

/** A scale over [low, high], widened to whole ticks. */
export function scale(low: number, high: number, from: number, to: number, wanted = 5): Scale {
  const largest = Math.max(Math.abs(low), Math.abs(high))
  // A spread that the numbers cannot carry is no spread: one tick's width around the value.
  const spread = high - low > Math.max(1e-9 * largest, 1e-200) ? high - low : largest > 1e-200 ? largest : 1
  const step = roundStep(spread / wanted)
  const first = Math.floor(low / step + 1e-9)
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9))
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
  const [bottom, top] = [ticks[0]!, ticks.at(-1)!]
  return Object.assign((value: number) => from + ((value - bottom) / (top - bottom)) * (to - from), { ticks })
}

function roundStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw))
  const lead = raw / power
  return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10)
}
