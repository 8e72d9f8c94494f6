import type { RegularizerResult, RegularizerRow } from '@imago/papers'
import { effectsTable, type Report, settingsFacts, verdicts } from './page.js'

/** The tables of hinton-2015/soft-targets-as-regularizer, one a data set, beside the paper's table 5. */
export function regularizerReport({ rows, effects, curves, settings }: RegularizerResult): Report {
  const share = `${100 * settings.share} %`
  return {
    title: 'Hinton, Vinyals & Dean 2015, section 6: soft targets as regularizers',
    summary: [
      `One net on all labels (${settings.epochs} epochs), on the labels of ${share} (${settings.fewEpochs} epochs), and on the first one's soft targets for the same ${share}, without labels.`,
      'Accuracy in percent at the best epoch on held-out rows; last: at the last epoch, without early stopping. Recovered: what of the cost of few labels the soft targets make good. The temperature that does best on held-out rows is marked *.',
      ...verdicts(effects),
    ],
    tables: [
      ...[...new Set(rows.map(({ set }) => set))].map((set) => ({
        title: set,
        rows: [
          ['', 'nets', 'rows', 'train', 'test', 'last', 'best epoch', 'recovered %', 'paper: train', 'test'],
          ...rows.filter((row) => row.set === set).map(cells),
        ],
      })),
      effectsTable(effects),
    ],
    charts: [...new Set(rows.map(({ set }) => set))].map((set) => ({
      title: `${set}: errors on held-out rows while training on few rows`,
      x: 'epoch',
      y: 'percent',
      series: Object.entries(curves)
        .filter(([job]) => job.startsWith(`${set}-few`) && job.endsWith(`-${settings.seeds[0]}`))
        .map(([name, curve]) => ({ name, points: curve.map(({ epoch, errors }) => [epoch, errors] as const) })),
    })),
    facts: settingsFacts(settings),
  }
}

function cells(row: RegularizerRow): string[] {
  const { name, temperature, chosen, recovered, expected } = row
  return [
    temperature === undefined ? name : `${name}, T = ${temperature}${chosen ? ' *' : ''}`,
    String(row.nets),
    String(row.rows),
    row.trainAccuracy.toFixed(2),
    row.testAccuracy.toFixed(2),
    row.lastTestAccuracy.toFixed(2),
    row.bestEpoch.toFixed(0),
    recovered === undefined ? '' : (100 * recovered).toFixed(0),
    expected ? expected.train.toFixed(1) : '',
    expected ? expected.test.toFixed(1) : '',
  ]
}
