import type { Effect } from '../effect.js'
import type { RegularizerJobResult } from './jobs.js'
import { paper, type RegularizerSettings } from './options.js'

/** One row of table 5, for one data set: a net, or the mean of several. Accuracies in percent. */
export interface RegularizerRow {
  readonly set: string
  readonly name: 'hard, all' | 'hard, few' | 'soft, few'
  readonly temperature?: number
  /** True for the temperature that does best on held-out rows. */
  readonly chosen?: boolean
  readonly nets: number
  /** Rows learned from. */
  readonly rows: number
  /** Of the best epoch on held-out rows. */
  readonly heldOutAccuracy: number
  readonly trainAccuracy: number
  readonly testAccuracy: number
  /** Of the last epoch, without early stopping. */
  readonly lastTestAccuracy: number
  readonly bestEpoch: number
  /** What of the loss by having few rows the soft targets make good: (soft − hard) / (all − hard) on test rows. */
  readonly recovered?: number
  readonly expected?: { readonly train: number; readonly test: number }
}

export interface RegularizerResult {
  readonly rows: readonly RegularizerRow[]
  readonly effects: readonly Effect[]
  /** Errors on held-out rows while training, in percent, by job. */
  readonly curves: { readonly [job: string]: readonly { readonly epoch: number; readonly errors: number }[] }
  readonly settings: RegularizerSettings
}

/** The nets of one data set. */
export interface SetResults {
  readonly set: string
  readonly all: RegularizerJobResult
  readonly hard: readonly RegularizerJobResult[]
  readonly soft: readonly { readonly temperature: number; readonly nets: readonly RegularizerJobResult[] }[]
}

export function tabulate(
  settings: RegularizerSettings,
  sets: readonly SetResults[],
  jobs: ReadonlyMap<string, RegularizerJobResult>,
): RegularizerResult {
  const rows = sets.flatMap(rowsOf)
  return {
    rows,
    effects: sets.flatMap(({ set }) => effectsOf(rows.filter((row) => row.set === set))),
    curves: Object.fromEntries(
      [...jobs].map(([name, { training }]) => [
        name,
        training.curve.map(({ epoch, errors, rows: all }) => ({ epoch, errors: (100 * errors) / all })),
      ]),
    ),
    settings,
  }
}

function rowsOf({ set, all, hard, soft }: SetResults): RegularizerRow[] {
  const top = rowOf(set, 'hard, all', [all])
  const bottom = rowOf(set, 'hard, few', hard)
  const softs = soft.map(({ temperature, nets }) => {
    const row = rowOf(set, 'soft, few', nets)
    const lost = top.testAccuracy - bottom.testAccuracy
    return { ...row, temperature, recovered: (row.testAccuracy - bottom.testAccuracy) / lost }
  })
  const chosen = softs.reduce((best, row) => (row.heldOutAccuracy > best.heldOutAccuracy ? row : best))
  return [
    { ...top, expected: paper['hard, all'] },
    { ...bottom, expected: paper['hard, few'] },
    ...softs.map((row) => (row === chosen ? { ...row, chosen: true, expected: paper['soft, few'] } : row)),
  ]
}

function rowOf(set: string, name: RegularizerRow['name'], nets: readonly RegularizerJobResult[]): RegularizerRow {
  const mean = (of: (net: RegularizerJobResult) => number): number =>
    nets.reduce((sum, net) => sum + of(net), 0) / nets.length
  return {
    set,
    name,
    nets: nets.length,
    rows: Math.round(mean((net) => net.rows)),
    heldOutAccuracy: mean(({ training: { best } }) => 100 * (1 - best.errors / best.rows)),
    trainAccuracy: mean(({ best }) => best.train),
    testAccuracy: mean(({ best }) => best.test),
    lastTestAccuracy: mean(({ last }) => last.test),
    bestEpoch: mean(({ training }) => training.best.epoch),
  }
}

function effectsOf(rows: readonly RegularizerRow[]): Effect[] {
  const all = rows.find(({ name }) => name === 'hard, all')!
  const hard = rows.find(({ name }) => name === 'hard, few')!
  const soft = rows.find(({ chosen }) => chosen)!
  const percent = (value: number): string => `${value.toFixed(1)} %`
  return [
    {
      name: `${all.set}: few labels cost accuracy on test rows`,
      holds: hard.testAccuracy < all.testAccuracy,
      found: `${percent(all.testAccuracy)} with all, ${percent(hard.testAccuracy)} with few`,
    },
    {
      name: `${all.set}: on the same few rows, soft targets beat labels that are stopped at their best`,
      holds: soft.testAccuracy > hard.testAccuracy,
      found: `${percent(soft.testAccuracy)} against ${percent(hard.testAccuracy)}, T = ${soft.temperature}`,
    },
    {
      name: `${all.set}: they make good more than half of what few labels cost (paper: 87 %)`,
      holds: soft.recovered! > 0.5,
      found: percent(100 * soft.recovered!),
    },
    {
      name: `${all.set}: they need no early stopping: the last epoch is less than half a point behind the best`,
      holds: soft.testAccuracy - soft.lastTestAccuracy < 0.5,
      found: `${percent(soft.lastTestAccuracy)} at the last epoch (labels: ${percent(hard.lastTestAccuracy)})`,
    },
  ]
}
