import type { Effect } from '../effect.js'
import type { BaCaruanaJobResult, Teaching } from './jobs.js'
import { type BaCaruanaSettings, paper } from './options.js'

/** One row of a data set's table: a net, or the mean of several of a kind. Error rates in percent. */
export interface BaCaruanaRow {
  readonly set: string
  readonly name:
    | 'deep on labels'
    | 'teacher'
    | 'shallow on labels'
    | 'shallow, logit regression'
    | 'shallow, soft targets'
  /** Of soft targets. */
  readonly temperature?: number
  readonly nets: number
  /** Numbers learned, of one net. */
  readonly parameters?: number
  /** The peak of the rate, chosen on held-out rows. */
  readonly rate?: number
  readonly heldOutErrorRate: number
  readonly testErrorRate: number
  /** Mean −log p(label) on test rows, in nats. */
  readonly testCrossEntropy: number
  /** (labels − this) / (labels − teacher) in errors on test rows: the share of the gap that is closed. */
  readonly closed?: number
  /** Phone error rate of table 1, where it has such a row. */
  readonly expected?: number
}

export interface BaCaruanaResult {
  readonly rows: readonly BaCaruanaRow[]
  readonly effects: readonly Effect[]
  /** Errors on held-out rows while training, in percent, by job. */
  readonly curves: { readonly [job: string]: readonly { readonly epoch: number; readonly errors: number }[] }
  readonly settings: BaCaruanaSettings
}

/** The nets of one data set. */
export interface SetResults {
  readonly set: string
  readonly deep: readonly BaCaruanaJobResult[]
  readonly teacher: BaCaruanaJobResult
  readonly shallow: readonly {
    readonly teaching: Teaching
    readonly rate: number
    readonly nets: readonly BaCaruanaJobResult[]
  }[]
}

export function tabulate(
  settings: BaCaruanaSettings,
  sets: readonly SetResults[],
  jobs: ReadonlyMap<string, BaCaruanaJobResult>,
): BaCaruanaResult {
  const rows = sets.flatMap(rowsOf)
  return {
    rows,
    effects: sets.flatMap(({ set }) => effectsOf(rows.filter((row) => row.set === set))),
    curves: Object.fromEntries(
      [...jobs].flatMap(([name, { training }]) =>
        training
          ? [[name, training.curve.map(({ epoch, errors, rows: all }) => ({ epoch, errors: (100 * errors) / all }))]]
          : [],
      ),
    ),
    settings,
  }
}

function rowsOf({ set, deep, teacher, shallow }: SetResults): BaCaruanaRow[] {
  const students = shallow.map(({ teaching, rate, nets }) => ({ teaching, row: { ...rowOf(set, nets), rate } }))
  const labels = students.find(({ teaching }) => teaching === 'labels')!.row
  const top = rowOf(set, [teacher])
  const closed = ({ testErrorRate }: { readonly testErrorRate: number }): number =>
    (labels.testErrorRate - testErrorRate) / (labels.testErrorRate - top.testErrorRate)
  return [
    { ...rowOf(set, deep), name: 'deep on labels', expected: paper.deep },
    { ...top, name: 'teacher', expected: paper.teacher },
    ...students.map(({ teaching, row }): BaCaruanaRow => {
      if (teaching === 'labels') return { ...row, name: 'shallow on labels', expected: paper.labels }
      if (teaching === 'regression')
        return { ...row, name: 'shallow, logit regression', closed: closed(row), expected: paper.regression }
      return { ...row, name: 'shallow, soft targets', temperature: teaching, closed: closed(row) }
    }),
  ]
}

function rowOf(set: string, nets: readonly BaCaruanaJobResult[]): Omit<BaCaruanaRow, 'name'> {
  const mean = (key: 'testErrorRate' | 'testCrossEntropy' | 'heldOutErrorRate'): number =>
    nets.reduce((sum, net) => sum + net[key], 0) / nets.length
  const { parameters } = nets[0]!
  return {
    set,
    nets: nets.length,
    heldOutErrorRate: mean('heldOutErrorRate'),
    testErrorRate: mean('testErrorRate'),
    testCrossEntropy: mean('testCrossEntropy'),
    ...(parameters !== undefined && { parameters }),
  }
}

function effectsOf(rows: readonly BaCaruanaRow[]): Effect[] {
  const of = (name: BaCaruanaRow['name']): BaCaruanaRow => rows.find((row) => row.name === name)!
  const [deep, teacher, labels] = [of('deep on labels'), of('teacher'), of('shallow on labels')]
  const mimic = of('shallow, logit regression')
  const soft = rows.filter(({ name }) => name === 'shallow, soft targets')
  const percent = (value: number): string => `${value.toFixed(2)} %`
  const against = (a: BaCaruanaRow, b: BaCaruanaRow): string =>
    `${percent(a.testErrorRate)} against ${percent(b.testErrorRate)}`
  return [
    {
      name: `${deep.set}: on labels, the deep net makes fewer errors than the shallow one`,
      holds: deep.testErrorRate < labels.testErrorRate,
      found: against(deep, labels),
    },
    {
      name: `${deep.set}: the teacher makes fewer errors than its members`,
      holds: teacher.testErrorRate < deep.testErrorRate,
      found: against(teacher, deep),
    },
    {
      name: `${deep.set}: regression on the teacher's logits makes the shallow net better than labels do`,
      holds: mimic.testErrorRate < labels.testErrorRate,
      found: against(mimic, labels),
    },
    {
      name: `${deep.set}: the shallow mimic is as good as a deep net on labels`,
      holds: mimic.testErrorRate <= deep.testErrorRate,
      found: against(mimic, deep),
    },
    {
      name: `${deep.set}: soft targets at the best T make the shallow net better than labels do, too`,
      holds: Math.min(...soft.map(({ testErrorRate }) => testErrorRate)) < labels.testErrorRate,
      found: soft.map(({ temperature, testErrorRate }) => `T = ${temperature}: ${percent(testErrorRate)}`).join(', '),
    },
  ]
}
