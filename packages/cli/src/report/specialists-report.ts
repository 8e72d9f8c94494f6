import type { SpecialistsTableResult, SystemRow } from '@imago/papers'
import { effectsTable, type Report, settingsFacts, verdicts } from './page.js'

type Interval = NonNullable<SystemRow['overallGain']>

/** The tables of hinton-2015/specialists beside the paper's tables 2 to 4, and the curves of its section 6.1. */
export function specialistsReport(result: SpecialistsTableResult): Report {
  const { rows, curves, costs, effects, settings } = result
  const tasks = [...new Set(rows.map(({ task }) => task))]
  return {
    title: 'Hinton, Vinyals & Dean 2015, sections 5 and 6.1: specialists',
    summary: [
      `Accuracy in percent on test rows, means over ${settings.seeds.length} seeds. Within sets: among the classes of each set that has the true class. Gains are points above the generalist trained on for what the specialists cost, with a 95 % bootstrap interval over seeds and rows. Head (dustbin, or all classes as in section 6.1) and n are chosen within sets on held-out rows (*).`,
      ...costs.map(
        ({ task, epochs, further }) =>
          `${task}: the generalist has ${epochs} epochs; the specialists of a seed cost as many passes more as ${further.join(', ')}.`,
      ),
      ...verdicts(effects),
    ],
    tables: [...tasks.flatMap((task) => tablesOf(task, result)), effectsTable(effects)],
    charts: tasks.map((task) => ({
      title: `${task}: section 6.1, cross-entropy of specialists on held-out rows while they train`,
      x: 'epoch',
      y: 'nats',
      series: curves
        .filter((curve) => curve.task === task)
        .flatMap(({ head, points }) => [
          {
            name: `${head}: held out`,
            points: points.map(({ epoch, crossEntropy }) => [epoch, crossEntropy] as const),
          },
          { name: `${head}: training loss`, points: points.map(({ epoch, loss }) => [epoch, loss] as const) },
        ]),
    })),
    facts: settingsFacts(settings),
  }
}

function tablesOf(task: string, { sets, rows, covering }: SpecialistsTableResult): Report['tables'] {
  return [
    {
      title: `${task}: table 3`,
      rows: [
        ['', 'within sets', 'gain', 'all classes', 'gain', 'paper: conditional', 'all'],
        ...rows.filter((row) => row.task === task).map(cells),
      ],
    },
    {
      title: `${task}: table 4, test rows by the number of specialists that have the true class`,
      rows: [
        ['specialists', 'rows', 'change in right ones', 'relative %', 'paper %'],
        ...covering
          .filter((row) => row.task === task)
          .map((row) => [
            String(row.covering),
            String(row.rows),
            String(row.change),
            row.relative.toFixed(1),
            row.expected === undefined ? '' : row.expected.toFixed(1),
          ]),
      ],
    },
    {
      title: `${task}: table 2, the sets of the first seed`,
      rows: [
        ['set', 'classes', 'cohesion', 'with others'],
        ...sets
          .filter((set) => set.task === task)
          .map(({ set, names, cohesion, outside }) => [
            set,
            names.length > 12 ? `${names.slice(0, 12).join(', ')} … (${names.length})` : names.join(' '),
            cohesion.toFixed(3),
            outside.toFixed(3),
          ]),
      ],
    },
  ]
}

function cells(row: SystemRow): string[] {
  const { system, chosen, conditional, overall, conditionalGain, overallGain, expected } = row
  return [
    `${system}${chosen ? ' *' : ''}`,
    conditional.toFixed(2),
    conditionalGain ? gain(conditionalGain) : '',
    overall.toFixed(2),
    overallGain ? gain(overallGain) : '',
    expected ? expected.conditional.toFixed(1) : '',
    expected ? expected.overall.toFixed(1) : '',
  ]
}

function gain({ mean, low, high }: Interval): string {
  return `${mean.toFixed(2)} (${low.toFixed(2)} … ${high.toFixed(2)})`
}
