import { ArgumentError, type Rng } from '@imago/tensor'

/** One seed's paired counts: for each row what one classifier gets right more often than another, and out of how many questions. */
export interface PairedCounts {
  readonly difference: Int8Array
  readonly asked: Uint8Array
}

export interface Interval {
  /** Σ difference / Σ asked over all seeds and rows. */
  readonly mean: number
  readonly low: number
  readonly high: number
}

/**
 * A percentile interval of a difference of accuracies (Efron & Tibshirani 1993, §13.3) over two levels: seeds are drawn with replacement, and rows, the same
 * for all seeds, as seeds share them. Each row counts Poisson(1) times (Hanley & MacGibbon 2006), so that rows that look alike in all seeds are drawn at
 * once. With three seeds the first level is coarse: an interval is above 0 only where no seed by itself takes the gain back.
 *
 * @throws ArgumentError where there is no seed or seeds differ in rows
 */
export function bootstrapInterval(
  seeds: readonly PairedCounts[],
  options: { readonly rng: Rng; readonly resamples?: number; readonly confidence?: number },
): Interval {
  const { rng, resamples = 2000, confidence = 0.95 } = options
  const rows = seeds[0]?.asked.length ?? 0
  if (rows === 0 || seeds.some(({ asked, difference }) => asked.length !== rows || difference.length !== rows))
    throw new ArgumentError('bootstrapInterval', 'seeds', 'at least one, all with the same rows', seeds.length)
  const kinds = kindsOf(seeds, rows)
  const drawn = new Float64Array(resamples)
  for (let b = 0; b < resamples; b++) {
    const chosen = seeds.map(() => rng.integer(seeds.length))
    let [sum, asked] = [0, 0]
    for (const kind of kinds) {
      const times = poisson(kind.rows, rng)
      for (const s of chosen) {
        sum += times * kind.difference[s]!
        asked += times * kind.asked[s]!
      }
    }
    drawn[b] = asked === 0 ? 0 : sum / asked
  }
  drawn.sort()
  const at = (share: number): number => drawn[Math.min(resamples - 1, Math.floor(share * resamples))]!
  let [sum, asked] = [0, 0]
  for (const kind of kinds)
    for (const s of seeds.keys()) {
      sum += kind.rows * kind.difference[s]!
      asked += kind.rows * kind.asked[s]!
    }
  const tail = (1 - confidence) / 2
  return { mean: asked === 0 ? 0 : sum / asked, low: at(tail), high: at(1 - tail) }
}

interface Kind {
  /** How many rows look like this: what each seed has there. */
  rows: number
  readonly difference: readonly number[]
  readonly asked: readonly number[]
}

function kindsOf(seeds: readonly PairedCounts[], rows: number): Kind[] {
  const kinds = new Map<string, Kind>()
  for (let r = 0; r < rows; r++) {
    const difference = seeds.map((seed) => seed.difference[r]!)
    const asked = seeds.map((seed) => seed.asked[r]!)
    const key = `${difference} ${asked}`
    const known = kinds.get(key)
    if (known) known.rows++
    else kinds.set(key, { rows: 1, difference, asked })
  }
  return [...kinds.values()]
}

/** A Poisson number: inversion by multiplication (Knuth 1997, §3.4.1); above a mean of 100 rounded from the normal distribution. */
function poisson(mean: number, rng: Rng): number {
  if (mean > 100) return Math.max(0, Math.round(mean + Math.sqrt(mean) * rng.normal()))
  const limit = Math.exp(-mean)
  let count = 0
  for (let product = rng.uniform(); product > limit; product *= rng.uniform()) count++
  return count
}
