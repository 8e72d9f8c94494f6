import type { Effect } from '../effect.js'
import type { BestResult } from '../jobs/train-best.js'
import type { Scores, SpeechResult } from './jobs.js'
import { paper, type SpeechSettings } from './options.js'

/** One row of the table of a split: a net, or the mean of several of a kind. */
export interface SpeechRow {
  readonly split: string
  /** `twin`: on labels, and like the distilled net in everything else. */
  readonly name: 'baseline' | 'ensemble' | 'twin' | 'distilled'
  /** Of a distilled net. */
  readonly temperature?: number
  /** How many nets the numbers are means of. */
  readonly nets: number
  /** Percent of frames whose state is right. */
  readonly heldOutAccuracy: number
  readonly testAccuracy: number
  /** The standard deviation of `testAccuracy` among the nets; 0 for one. */
  readonly deviation: number
  /** Mean −log p(state) on test frames, in nats. */
  readonly crossEntropy: number
  /** Percent of test utterances whose digit is not the decoder's answer. */
  readonly digitErrorRate: number
  /** (accuracy − baseline) / (ensemble − baseline) on test frames. */
  readonly kept?: number
  /** True for the temperature that does best on held-out utterances. */
  readonly chosen?: boolean
  /** Table 1 of the paper, for the row that it has. */
  readonly expected?: { readonly frameAccuracy: number; readonly wordErrorRate: number }
}

export interface HintonSpeechResult {
  readonly rows: readonly SpeechRow[]
  readonly effects: readonly Effect[]
  /** Held-out errors while training, in percent, by job. */
  readonly curves: { readonly [job: string]: readonly { readonly epoch: number; readonly errors: number }[] }
  /** Test frames and utterances, by split. */
  readonly sizes: { readonly [split: string]: { readonly frames: number; readonly utterances: number } }
  readonly settings: SpeechSettings
}

/** The nets of one split. */
export interface SplitResults {
  readonly split: string
  readonly members: readonly SpeechResult[]
  readonly ensemble: SpeechResult
  readonly twins: readonly SpeechResult[]
  /** The temperature that did best on held-out frames. */
  readonly chosen: number
  readonly distilled: readonly { readonly temperature: number; readonly nets: readonly SpeechResult[] }[]
}

export function tabulate(
  settings: SpeechSettings,
  splits: readonly SplitResults[],
  curves: { readonly [job: string]: BestResult['curve'] },
): HintonSpeechResult {
  const rows = splits.flatMap(rowsOf)
  return {
    rows,
    effects: splits.flatMap(({ split }) => effectsOf(split, rows)),
    curves: Object.fromEntries(
      Object.entries(curves).map(([job, curve]) => [
        job,
        curve.map(({ epoch, errors, rows: all }) => ({ epoch, errors: (100 * errors) / all })),
      ]),
    ),
    sizes: Object.fromEntries(
      splits.map(({ split, ensemble: { test } }) => [split, { frames: test.frames, utterances: test.utterances }]),
    ),
    settings,
  }
}

function rowsOf({ split, members, ensemble, twins, chosen, distilled }: SplitResults): SpeechRow[] {
  const baseline = rowOf(split, 'baseline', members)
  const together = rowOf(split, 'ensemble', [ensemble])
  const gain = together.testAccuracy - baseline.testAccuracy
  const students = distilled.map(({ temperature, nets }) => {
    const row = rowOf(split, 'distilled', nets)
    return { ...row, temperature, kept: (row.testAccuracy - baseline.testAccuracy) / gain }
  })
  return [
    { ...baseline, expected: paper.baseline },
    { ...together, expected: paper.ensemble },
    rowOf(split, 'twin', twins),
    ...students.map((row) => (row.temperature === chosen ? { ...row, chosen: true, expected: paper.distilled } : row)),
  ]
}

function rowOf(split: string, name: SpeechRow['name'], nets: readonly SpeechResult[]): SpeechRow {
  const mean = (of: (net: SpeechResult) => number): number => nets.reduce((sum, net) => sum + of(net), 0) / nets.length
  const accuracy = ({ frameErrors, frames }: Scores): number => 100 * (1 - frameErrors / frames)
  const testAccuracy = mean(({ test }) => accuracy(test))
  const squares = nets.reduce((sum, { test }) => sum + (accuracy(test) - testAccuracy) ** 2, 0)
  return {
    split,
    name,
    nets: nets.length,
    heldOutAccuracy: mean(({ heldOut }) => accuracy(heldOut)),
    testAccuracy,
    deviation: nets.length > 1 ? Math.sqrt(squares / (nets.length - 1)) : 0,
    crossEntropy: mean(({ test }) => test.crossEntropy),
    digitErrorRate: mean(({ test }) => (100 * test.digitErrors) / test.utterances),
  }
}

function effectsOf(split: string, all: readonly SpeechRow[]): Effect[] {
  const rows = all.filter((row) => row.split === split)
  const baseline = rows.find(({ name }) => name === 'baseline')!
  const ensemble = rows.find(({ name }) => name === 'ensemble')!
  const twin = rows.find(({ name }) => name === 'twin')!
  const distilled = rows.find(({ chosen }) => chosen)!
  const percent = (value: number): string => `${value.toFixed(1)} %`
  return [
    {
      name: `${split}: the ensemble beats its members on frames`,
      holds: ensemble.testAccuracy > baseline.testAccuracy,
      found: `${percent(ensemble.testAccuracy)} against ${percent(baseline.testAccuracy)}`,
    },
    {
      name: `${split}: the distilled net beats the baseline, a single member`,
      holds: distilled.testAccuracy > baseline.testAccuracy,
      found: `${percent(distilled.testAccuracy)} against ${percent(baseline.testAccuracy)}, T = ${distilled.temperature}`,
    },
    {
      name: `${split}: it beats its twin on labels, which differs in nothing else`,
      holds: distilled.testAccuracy > twin.testAccuracy,
      found: `${percent(distilled.testAccuracy)} against ${percent(twin.testAccuracy)}`,
    },
    {
      name: `${split}: it keeps more than ${100 * paper.keptShare} % of the ensemble's gain`,
      holds: distilled.kept! > paper.keptShare,
      found: percent(100 * distilled.kept!),
    },
  ]
}
