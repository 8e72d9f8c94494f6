import { rng } from '@imago/tensor'
import type { Effect } from '../effect.js'
import { bootstrapInterval, type Interval, type PairedCounts } from './bootstrap.js'
import type { SetRow, SetsResult } from './generalist.js'
import { countsOf, type Hits } from './hits.js'
import type { JudgedSystem, JudgeResult } from './judge.js'
import { paper, type SpecialistsSettings } from './options.js'
import type { Head, SpecialistResult } from './specialists.js'

/** Percent; intervals are of 95 %. */
export interface SystemRow {
  readonly task: string
  readonly system: string
  /** Accuracy within the sets that have the true class, pooled over sets, and among all classes; means over seeds, on test rows. */
  readonly conditional: number
  readonly overall: number
  readonly heldOutConditional: number
  /** Points above the generalist trained on; not of that itself. */
  readonly conditionalGain?: Interval
  readonly overallGain?: Interval
  /** Points above the generalist as it was; of what is chosen and of what is distilled back. */
  readonly aboveGeneralist?: { readonly conditional: Interval; readonly overall: Interval }
  /** True for the combination that did best on held-out rows. */
  readonly chosen?: boolean
  readonly expected?: { readonly conditional: number; readonly overall: number }
}

/** A row of table 4: test rows by how many specialists have their true class. */
export interface CoveringRow {
  readonly task: string
  readonly covering: number
  /** Over all seeds. */
  readonly rows: number
  /** Rows that generalist and specialists get right and the generalist trained on does not, less the others. */
  readonly change: number
  /** Of the accuracy of the generalist trained on, percent. */
  readonly relative: number
  readonly expected?: number
}

/** A point of the curves of §6.1, mean over specialists and seeds. */
export interface CurvePoint {
  readonly epoch: number
  /** Training loss, and cross-entropy on held-out rows, in nats. */
  readonly loss: number
  readonly crossEntropy: number
  /** Held-out errors, percent. */
  readonly errors: number
}

export interface OverfitCurve {
  readonly task: string
  readonly head: Head
  readonly points: readonly CurvePoint[]
}

export interface TaskCosts {
  readonly task: string
  /** Passes over the training rows: the generalist's, and what its specialists cost by the same measure. */
  readonly epochs: number
  readonly further: readonly number[]
}

export interface SpecialistsTableResult {
  readonly sets: readonly ({ readonly task: string } & SetRow)[]
  readonly rows: readonly SystemRow[]
  readonly covering: readonly CoveringRow[]
  readonly curves: readonly OverfitCurve[]
  readonly costs: readonly TaskCosts[]
  readonly effects: readonly Effect[]
  readonly settings: SpecialistsSettings
}

/** What the jobs of one data set came to; one entry a seed. */
export interface TaskResults {
  readonly task: string
  readonly epochs: number
  readonly further: readonly number[]
  readonly sets: readonly SetsResult[]
  readonly specialists: { readonly [head in Head]: readonly SpecialistResult[] }
  readonly combined: readonly JudgeResult[]
  readonly others: readonly JudgeResult[]
  /** Names of systems. */
  readonly chosen: string
  readonly on: string
}

export const generalist = 'generalist'
export const back = 'distilled back'

export function tabulate(settings: SpecialistsSettings, tasks: readonly TaskResults[]): SpecialistsTableResult {
  const rows = tasks.flatMap(rowsOf)
  return {
    sets: tasks.flatMap(({ task, sets }) => sets[0]!.table.map((row) => ({ task, ...row }))),
    rows,
    covering: tasks.flatMap(coveringOf),
    curves: tasks.flatMap(curvesOf),
    costs: tasks.map(({ task, epochs, further }) => ({ task, epochs, further })),
    effects: tasks.flatMap(({ task }) => effectsOf(rows.filter((row) => row.task === task))),
    settings,
  }
}

/** Accuracy in percent over all seeds, of one kind of hits. */
export function accuracy(
  judged: readonly JudgeResult[],
  system: string,
  part: 'heldOut' | 'test',
  kind: keyof Hits,
): number {
  let [hits, asked] = [0, 0]
  for (const { systems, covered } of judged) {
    for (const hit of countsOf(named(systems, system)[part][kind] as string)) hits += hit
    asked += kind === 'overall' ? covered[part].length : countsOf(covered[part]).reduce((a, b) => a + b, 0)
  }
  return (100 * hits) / asked
}

function rowsOf(results: TaskResults): SystemRow[] {
  const { task, combined, others, chosen, on } = results
  const names = (judged: readonly JudgeResult[]): string[] => judged[0]!.systems.map(({ system }) => system)
  return [...names(combined), ...names(others)].map((system): SystemRow => {
    const from = names(combined).includes(system) ? combined : others
    const row = {
      task,
      system,
      conditional: accuracy(from, system, 'test', 'within'),
      overall: accuracy(from, system, 'test', 'overall'),
      heldOutConditional: accuracy(from, system, 'heldOut', 'within'),
    }
    const expected = system === generalist ? paper.baseline : system === chosen ? paper.specialists : undefined
    return {
      ...row,
      ...(system !== on && {
        conditionalGain: gainOf(results, [from, system], [others, on], 'within'),
        overallGain: gainOf(results, [from, system], [others, on], 'overall'),
      }),
      ...((system === chosen || system === back) && {
        aboveGeneralist: {
          conditional: gainOf(results, [from, system], [combined, generalist], 'within'),
          overall: gainOf(results, [from, system], [combined, generalist], 'overall'),
        },
      }),
      ...(system === chosen && { chosen: true }),
      ...(expected && { expected }),
    }
  })
}

type Judged = readonly [judged: readonly JudgeResult[], system: string]

/** Points of the first above the second, on the same test rows of the same seeds. */
function gainOf(
  { task, sets }: TaskResults,
  [ours, system]: Judged,
  [theirs, base]: Judged,
  kind: keyof Hits,
): Interval {
  const seeds = sets.map((_, s): PairedCounts => {
    const hits = countsOf(named(ours[s]!.systems, system).test[kind] as string)
    const against = countsOf(named(theirs[s]!.systems, base).test[kind] as string)
    return {
      difference: Int8Array.from(hits, (hit, row) => hit - against[row]!),
      asked: kind === 'overall' ? new Uint8Array(hits.length).fill(1) : countsOf(ours[s]!.covered.test),
    }
  })
  const { mean, low, high } = bootstrapInterval(seeds, { rng: rng(0).split(`${task} ${system} ${base} ${kind}`) })
  return { mean: 100 * mean, low: 100 * low, high: 100 * high }
}

function coveringOf({ task, combined, others, chosen, on }: TaskResults): CoveringRow[] {
  const found = new Map<number, { rows: number; change: number; base: number }>()
  for (const [s, judged] of combined.entries()) {
    const ours = countsOf(named(judged.systems, chosen).test.overall)
    const base = countsOf(named(others[s]!.systems, on).test.overall)
    for (const [row, covering] of countsOf(judged.covered.test).entries()) {
      const at = found.get(covering) ?? { rows: 0, change: 0, base: 0 }
      found.set(covering, {
        rows: at.rows + 1,
        change: at.change + ours[row]! - base[row]!,
        base: at.base + base[row]!,
      })
    }
  }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([covering, { rows, change, base }]) => {
      const expected = paper.byCovering[(covering < 10 ? covering : '10 or more') as keyof typeof paper.byCovering]
      return { task, covering, rows, change, relative: base === 0 ? 0 : (100 * change) / base, expected }
    })
}

function curvesOf({ task, specialists }: TaskResults): OverfitCurve[] {
  return (Object.keys(specialists) as Head[]).map((head) => {
    const curves = specialists[head].map(({ training }) => training.curve)
    const epochs = Math.min(...curves.map(({ length }) => length))
    const points = Array.from({ length: epochs }, (_, e): CurvePoint => {
      const mean = (of: (point: (typeof curves)[number][number]) => number): number =>
        curves.reduce((sum, curve) => sum + of(curve[e]!), 0) / curves.length
      return {
        epoch: e + 1,
        loss: mean(({ loss }) => loss),
        crossEntropy: mean(({ crossEntropy }) => crossEntropy),
        errors: mean(({ errors, rows }) => (100 * errors) / rows),
      }
    })
    return { task, head, points }
  })
}

function effectsOf(rows: readonly SystemRow[]): Effect[] {
  const ours = rows.find(({ chosen }) => chosen)!
  const base = rows.find(({ conditionalGain }) => conditionalGain === undefined)!
  const distilled = rows.find(({ system }) => system === back)!
  const points = ({ mean, low, high }: Interval): string =>
    `${mean.toFixed(2)} points (${low.toFixed(2)} … ${high.toFixed(2)})`
  const { task } = ours
  const kept = (kind: 'conditional' | 'overall'): number =>
    (100 * (distilled[kind] - base[kind])) / (ours[kind] - base[kind])
  return [
    {
      name: `${task}: specialists beat the generalist trained on for the same budget within their sets`,
      holds: ours.conditionalGain!.low > 0,
      found: points(ours.conditionalGain!),
    },
    {
      name: `${task}: and among all classes (paper: ${paper.gain} % of the accuracy, without a generalist trained on)`,
      holds: ours.overallGain!.low > 0,
      found: `${points(ours.overallGain!)}, ${((100 * (ours.overall - base.overall)) / base.overall).toFixed(1)} % of it`,
    },
    {
      name: `${task}: they beat the generalist as it was, too, within their sets`,
      holds: ours.aboveGeneralist!.conditional.low > 0,
      found: `${points(ours.aboveGeneralist!.conditional)}; among all classes ${points(ours.aboveGeneralist!.overall)}`,
    },
    {
      name: `${task}: distilled back, one net keeps a part of the gain within the sets`,
      holds: distilled.conditionalGain!.low > 0,
      found: `${points(distilled.conditionalGain!)}; ${kept('conditional').toFixed(0)} % within the sets, ${kept('overall').toFixed(0)} % among all classes`,
    },
  ]
}

function named(systems: readonly JudgedSystem[], name: string): JudgedSystem {
  return systems.find(({ system }) => system === name)!
}
