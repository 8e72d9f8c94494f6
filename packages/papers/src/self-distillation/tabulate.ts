import type { Effect } from '../effect.js'
import { jobName } from './jobs.js'
import { paper, type SelfDistillationSettings } from './options.js'
import type { SelfResult } from './shop.js'

/** One way to learn: the mean over its nets, errors in percent of the test rows. */
export interface SelfRow {
  readonly name: string
  readonly nets: number
  readonly errors: number
  /** The same of each seed. */
  readonly bySeed: readonly number[]
  readonly crossEntropy: number
  /** Of a method: the row that it is held against. */
  readonly against?: string
  readonly expected?: { readonly source: string; readonly labels: number; readonly method: number }
}

export interface SelfDistillationResult {
  readonly rows: readonly SelfRow[]
  readonly effects: readonly Effect[]
  readonly settings: SelfDistillationSettings
}

export function tabulate(
  settings: SelfDistillationSettings,
  results: ReadonlyMap<string, SelfResult>,
): SelfDistillationResult {
  const { seeds, generations, labelled } = settings
  const row = (name: string, job: (seed: number) => string, more: Partial<SelfRow> = {}): SelfRow => {
    const each = seeds.map((seed) => results.get(job(seed))!.nets)
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length
    const percent = (nets: SelfResult['nets']): number => mean(nets.map(({ errors, rows }) => (100 * errors) / rows))
    const bySeed = each.map(percent)
    return {
      name,
      nets: each.flat().length,
      errors: mean(bySeed),
      bySeed,
      crossEntropy: mean(each.flat().map(({ crossEntropy }) => crossEntropy)),
      ...more,
    }
  }
  const onLabels = 'labels'
  const few = `${labelled} labels`
  const rows = [
    row(onLabels, jobName.labels),
    row('mutual', jobName.mutual, { against: onLabels, expected: paper.mutual }),
    ...Array.from({ length: generations }, (_, i) =>
      row(`born again ${i + 1}`, (seed) => jobName.generation(seed, i + 1), {
        against: onLabels,
        ...(i === 0 && { expected: paper['born again'] }),
      }),
    ),
    row('own logits', jobName.self, { against: onLabels, expected: paper['own logits'] }),
    row('virtual teacher', jobName.virtual, { against: onLabels, expected: paper['virtual teacher'] }),
    row(few, jobName.few),
    row('mean teacher', jobName.mean, { against: few, expected: paper['mean teacher'] }),
  ]
  return { rows, effects: rows.flatMap((one) => effectOf(one, rows)), settings }
}

function effectOf({ name, errors, against, expected }: SelfRow, rows: readonly SelfRow[]): Effect[] {
  const base = rows.find((row) => row.name === against)
  if (base === undefined || expected === undefined) return []
  const found = `${errors.toFixed(2)} % against ${base.errors.toFixed(2)} %`
  const said = `${expected.method} % against ${expected.labels} %`
  return [
    { name: `${name}: fewer errors than ${against} (${expected.source}: ${said})`, holds: errors < base.errors, found },
  ]
}
