import type { Effect } from '../effect.js'
import type { Job } from '../jobs/job.js'
import type { TrainingResult } from '../jobs/train-model.js'
import { paper, type Settings } from './options.js'

/** A rate that was tried on held-out images. */
export interface Trial {
  readonly name: 'plain' | 'distilled'
  readonly rate: number
  readonly epochs: number
  /** On the 5,000 held-out images. */
  readonly errors: number
  readonly rows: number
  readonly crossEntropy: number
}

/** Errors of 10,000 at the last epoch, beside the paper's. */
export interface ErrorRow {
  readonly name: 'teacher' | 'plain' | 'distilled'
  readonly seed: number
  readonly errors: number
  readonly expected: number
  readonly epochs: number
  readonly rate: number
  readonly crossEntropy: number
}

/** One change to the distilled student. */
export interface VariantRow {
  readonly what: string
  readonly value: number
  readonly errors: number
  /** Errors without the change: of the full run for `epochs`, of the shorter run for the others. */
  readonly unchanged: number
}

/** A job of the ablation, and the job that it differs from in one thing. */
export interface Variant {
  readonly what: string
  readonly value: number
  readonly against: string
  readonly job: Job
}

export interface HintonMnistResult {
  readonly rows: readonly ErrorRow[]
  readonly trials: readonly Trial[]
  readonly variants: readonly VariantRow[]
  readonly effects: readonly Effect[]
  /** Errors on the test set as training went on, for charts; nothing is chosen by them. */
  readonly curves: { readonly [job: string]: TrainingResult['curve'] }
  readonly settings: Settings
}

export function tabulate(
  settings: Settings,
  chosen: { readonly plain: number; readonly distilled: number },
  trials: readonly Trial[],
  of: (job: string) => TrainingResult,
  variants: readonly Variant[],
): HintonMnistResult {
  const rate = { teacher: settings.teacherRate, ...chosen }
  const rows = settings.seeds.flatMap((seed) =>
    (['teacher', 'plain', 'distilled'] as const).map((name): ErrorRow => {
      const { errors, epochs, crossEntropy } = of(`${name}-${seed}`)
      return { name, seed, errors, expected: paper.errors[name], epochs, rate: rate[name], crossEntropy }
    }),
  )
  return {
    rows,
    trials,
    variants: variants.map(({ what, value, job, against }) => ({
      what,
      value,
      errors: of(job.name).errors,
      unchanged: of(against).errors,
    })),
    effects: effectsOf(settings, rows),
    curves: Object.fromEntries(rows.map(({ name, seed }) => [`${name}-${seed}`, of(`${name}-${seed}`).curve])),
    settings,
  }
}

function effectsOf({ seeds, fast }: Settings, rows: readonly ErrorRow[]): Effect[] {
  const errors = (name: ErrorRow['name']): number[] => rows.filter((row) => row.name === name).map((row) => row.errors)
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const [teacher, plain, distilled] = [errors('teacher'), errors('plain'), errors('distilled')]
  const fewer = 1 - mean(distilled) / mean(plain)
  const list = (values: readonly number[]): string => values.join(', ')
  const direction: Effect[] = [
    {
      name: 'the teacher makes fewer errors than the student on hard labels',
      holds: mean(teacher) < mean(plain),
      found: `${list(teacher)} against ${list(plain)}`,
    },
    {
      name: 'the distilled student makes fewer errors than its twin on hard labels, with every seed',
      holds: seeds.every((_, i) => distilled[i]! < plain[i]!),
      found: `${list(distilled)} against ${list(plain)}`,
    },
  ]
  if (fast) return direction
  return [
    ...direction,
    {
      name: 'the teacher makes at most 100 errors, with every seed',
      holds: teacher.every((n) => n <= 100),
      found: list(teacher),
    },
    {
      name: 'the distilled student makes at least 25 % fewer errors than its twin, on average',
      holds: fewer >= 0.25,
      found: `${(100 * fewer).toFixed(1)} % fewer`,
    },
  ]
}
