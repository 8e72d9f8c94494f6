import type { JsonObject } from '@imago/trainer'
import type { Effect } from '../effect.js'
import {
  chosenMaking,
  type EnsembleResult,
  jobNames,
  type Making,
  type NetResult,
  type Synthesizer,
  synthesizers,
  type Workshop,
} from './jobs.js'
import type { Fit } from './measure.js'
import type { Settings } from './options.js'
import type { ProblemName } from './problems.js'

/** A mimic and what it was trained on. */
export interface MimicRow {
  readonly how: Synthesizer
  readonly points: number
  /** Chosen on the rows held out. */
  readonly making: Making
  readonly test: Fit
}

/** One problem: everything is counted on its test rows. */
export interface ProblemResult {
  readonly name: ProblemName
  readonly rows: { readonly train: number; readonly holdOut: number; readonly test: number }
  /** The share of the positive class among the test rows. */
  readonly positives: number
  /** The net of the library that is best on the rows held out. */
  readonly best: Fit
  readonly ensemble: Fit & { readonly nets: number; readonly parameters: number; readonly bytes: number }
  /** The mimic's net on the labels; its epochs are those that were best on the rows held out. */
  readonly labels: Fit & { readonly epochs: number; readonly parameters: number; readonly bytes: number }
  readonly mimics: readonly MimicRow[]
  /** Milliseconds for the same rows. */
  readonly speed?: { readonly ensemble: number; readonly mimic: number }
}

export interface Bucila2006Result {
  readonly recipe: 'bucila-2006'
  readonly settings: Settings
  readonly problems: readonly ProblemResult[]
  readonly effects: readonly Effect[]
}

export function problemRow(shop: Workshop, results: ReadonlyMap<string, JsonObject>): ProblemResult {
  const { settings, problem, sets } = shop
  const { weights, best, test, parameters, bytes } = results.get(jobNames.ensemble(shop)) as EnsembleResult
  const net = (name: string): NetResult => results.get(name) as NetResult
  const tried = settings.labelEpochs.map((epochs) => ({ epochs, net: net(jobNames.labels(shop, epochs)) }))
  const labels = tried.reduce((a, b) => (b.net.holdOut.rmse < a.net.holdOut.rmse ? b : a))
  const classes = Int32Array.from(problem.test.columns.at(-1)!)
  return {
    name: problem.name,
    rows: { train: sets.train.length, holdOut: sets.holdOut.length, test: sets.test.length },
    positives: classes.reduce((sum, one) => sum + one, 0) / classes.length,
    best: net(jobNames.member(shop, best)).test,
    ensemble: { ...test, nets: weights.filter((weight) => weight > 0).length, parameters, bytes },
    labels: {
      ...labels.net.test,
      epochs: labels.epochs,
      parameters: labels.net.parameters,
      bytes: labels.net.bytes,
    },
    mimics: synthesizers.flatMap((how) => {
      const making = chosenMaking(shop, how, results)
      return settings.points.map((points) => ({
        how,
        points,
        making,
        test: net(jobNames.mimic(shop, how, points, making)).test,
      }))
    }),
  }
}

/** The mimic that was trained on so many points of one kind; the most unless given. */
export function mimicOf({ mimics }: ProblemResult, how: Synthesizer, points?: number): MimicRow {
  const own = mimics.filter((row) => row.how === how)
  return own.find((row) => row.points === points) ?? own.at(-1)!
}

/** What the paper says, held against these problems: a claim holds where it does on their average, as the paper reports it. */
export function tabulate(settings: Settings, problems: readonly ProblemResult[]): Bucila2006Result {
  const compared = (
    name: string,
    better: (row: ProblemResult) => number,
    worse: (row: ProblemResult) => number,
  ): Effect => {
    const mean = (read: (row: ProblemResult) => number): number =>
      problems.reduce((sum, row) => sum + read(row), 0) / problems.length
    const each = problems.map((row) => `${row.name} ${better(row).toFixed(4)} / ${worse(row).toFixed(4)}`)
    return {
      name,
      holds: mean(better) < mean(worse),
      found: `${mean(better).toFixed(4)} / ${mean(worse).toFixed(4)} on average; ${each.join(', ')}`,
    }
  }
  const most = settings.points.at(-1)!.toLocaleString('en')
  const rmse = (how: Synthesizer) => (row: ProblemResult) => mimicOf(row, how).test.rmse
  return {
    recipe: 'bucila-2006',
    settings,
    problems,
    effects: [
      compared(
        'the ensemble has a lower RMSE than the best net of its library',
        (row) => row.ensemble.rmse,
        (row) => row.best.rmse,
      ),
      compared(
        `the mimic of ${most} MUNGE points has a lower RMSE than the same net on labels`,
        rmse('munge'),
        (row) => row.labels.rmse,
      ),
      compared(
        `the mimic of ${most} MUNGE points has a lower RMSE than the best net of the library`,
        rmse('munge'),
        (row) => row.best.rmse,
      ),
      compared('MUNGE has a lower RMSE than RANDOM', rmse('munge'), rmse('random')),
      compared('MUNGE has a lower RMSE than the naive-Bayes mixture', rmse('munge'), rmse('nbe')),
      compared(
        'more MUNGE points have a lower RMSE',
        rmse('munge'),
        (row) => mimicOf(row, 'munge', settings.points[0]).test.rmse,
      ),
    ],
  }
}
