import type { Bucila2006Result, ProblemResult } from '@imago/papers'
import type { LineChart } from './line-chart.js'
import type { Report } from './page.js'

const names = { munge: 'MUNGE', random: 'RANDOM', nbe: 'naive-Bayes mixture' } as const

/** The tables of bucila-2006 and its curves. */
export function bucilaReport(result: Bucila2006Result): Report {
  const { settings, problems, effects } = result
  const points = settings.points.map((n) => n.toLocaleString('en'))
  return {
    title: 'Bucilă, Caruana & Niculescu-Mizil 2006: Model Compression',
    summary: [
      `RMSE of the probability of the positive class on the test rows. ${settings.members} nets in each library, ${settings.rows.train} rows to train on, ${settings.rows.holdOut} to choose by; mimics of ${settings.hidden} hidden units, ${settings.steps.toLocaleString('en')} steps each; their rate, and MUNGE's p, are chosen by the rows held out, s = ${settings.localVariance}.`,
      ...effects.map(({ name, holds, found }) => `${holds ? 'Holds' : 'Does not hold'}: ${name} (${found}).`),
    ],
    tables: [
      {
        title: 'RMSE on the test rows',
        rows: [
          ['problem', 'rows', 'best net', 'ensemble', 'net on labels', ...points.map((n) => `MUNGE ${n}`)],
          ...problems.map((row) => [
            row.name,
            row.rows.test.toLocaleString('en'),
            row.best.rmse.toFixed(4),
            row.ensemble.rmse.toFixed(4),
            `${row.labels.rmse.toFixed(4)} (${row.labels.epochs} epochs)`,
            ...of(row, 'munge').map(({ test }) => test.rmse.toFixed(4)),
          ]),
        ],
      },
      {
        title: 'Where the synthetic rows come from: RMSE',
        rows: [
          ['problem', 'from', 'rate', 'p', ...points],
          ...problems.flatMap((row) =>
            (['munge', 'random', 'nbe'] as const).map((how) => {
              const { rate, probability } = of(row, how)[0]!.making
              const rmse = of(row, how).map(({ test }) => test.rmse.toFixed(4))
              return [row.name, names[how], `${rate}`, `${probability ?? ''}`, ...rmse]
            }),
          ),
        ],
      },
      {
        title: 'Errors on the test rows',
        rows: [
          ['problem', 'positive', 'best net', 'ensemble', 'net on labels', `MUNGE ${points.at(-1)}`],
          ...problems.map((row) => [
            row.name,
            percent(row.positives),
            ...[row.best, row.ensemble, row.labels, of(row, 'munge').at(-1)!.test].map((fit) =>
              percent(fit.errors / fit.rows),
            ),
          ]),
        ],
      },
      {
        title: 'Size and speed',
        rows: [
          ['problem', 'nets', 'ensemble', 'mimic', 'smaller by', 'ensemble', 'mimic', 'faster by'],
          ...problems.map(({ name, ensemble, labels, speed }) => [
            name,
            String(ensemble.nets),
            `${(ensemble.bytes / 1000).toFixed(0)} kB`,
            `${(labels.bytes / 1000).toFixed(0)} kB`,
            (ensemble.bytes / labels.bytes).toFixed(1),
            speed ? `${speed.ensemble.toFixed(1)} ms` : '–',
            speed ? `${speed.mimic.toFixed(1)} ms` : '–',
            speed ? (speed.ensemble / speed.mimic).toFixed(1) : '–',
          ]),
        ],
      },
      {
        title: 'Effects',
        rows: [
          ['effect', 'holds', 'found'],
          ...effects.map(({ name, holds, found }) => [name, holds ? 'yes' : 'no', found]),
        ],
      },
    ],
    charts: problems.map((row) => curve(row, settings.points)),
    facts: Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, JSON.stringify(value)])),
  }
}

function of({ mimics }: ProblemResult, how: keyof typeof names): ProblemResult['mimics'] {
  return mimics.filter((row) => row.how === how)
}

/** RMSE over the number of synthetic rows, with the levels of what they are compared to (the paper's figure 2). */
function curve(row: ProblemResult, points: readonly number[]): LineChart {
  const ends = [points[0]!, points.at(-1)!]
  const level = (name: string, value: number) => ({ name, points: ends.map((x) => [x, value] as const) })
  return {
    title: row.name,
    x: 'synthetic rows',
    y: 'RMSE',
    series: [
      ...(['munge', 'random', 'nbe'] as const).map((how) => ({
        name: names[how],
        points: of(row, how).map(({ points: x, test }) => [x, test.rmse] as const),
      })),
      level('ensemble', row.ensemble.rmse),
      level('best net', row.best.rmse),
      level('net on labels', row.labels.rmse),
    ],
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`
}
