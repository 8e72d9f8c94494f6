import type { HintonMnistResult } from '@imago/papers'
import type { LineChart } from './line-chart.js'
import { effectsTable, type Report, settingsFacts, verdicts } from './page.js'

/** The tables of hinton-2015/mnist, errors beside the paper's, and how they came about. */
export function mnistReport(result: HintonMnistResult): Report {
  const { settings, effects, trials, variants } = result
  return {
    title: 'Hinton, Vinyals & Dean 2015, section 3: MNIST',
    summary: [
      `Test errors of 10,000 after the last epoch (${settings.teacherEpochs} for teachers, ${settings.epochs} for students), ${settings.optimizer} (rate ${settings.teacherSchedule} for teachers, ${settings.schedule} for students), T = ${settings.temperature}.`,
      ...verdicts(effects),
    ],
    tables: [
      { title: 'Test errors of 10,000', rows: errorRows(result) },
      effectsTable(effects),
      ...(trials.length === 0
        ? []
        : [
            {
              title: 'Learning rates, errors on 5,000 held-out training images',
              rows: [
                ['student', 'rate', 'epochs', 'errors', 'cross entropy'],
                ...trials.map(({ name, rate, epochs, errors, crossEntropy }) => [
                  name,
                  String(rate),
                  String(epochs),
                  String(errors),
                  crossEntropy.toFixed(4),
                ]),
              ],
            },
          ]),
      ...(variants.length === 0
        ? []
        : [
            {
              title: `One change to the distilled student of seed ${settings.seeds[0]}`,
              rows: [
                ['changed', 'to', 'errors', 'without the change'],
                ...variants.map(({ what, value, errors, unchanged }) => [
                  what,
                  String(value),
                  String(errors),
                  String(unchanged),
                ]),
              ],
            },
          ]),
    ],
    charts: charts(result),
    facts: settingsFacts(settings),
  }
}

const shown = {
  teacher: '1200-1200, dropout, max-norm, jitter',
  plain: '800-800 on labels',
  distilled: '800-800 distilled',
} as const

function errorRows({ rows, settings }: HintonMnistResult): string[][] {
  const names = ['teacher', 'plain', 'distilled'] as const
  return [
    ['', ...settings.seeds.map((seed) => `seed ${seed}`), 'mean', 'paper', 'rate'],
    ...names.map((name) => {
      const own = rows.filter((row) => row.name === name)
      const mean = own.reduce((sum, { errors }) => sum + errors, 0) / own.length
      return [
        shown[name],
        ...own.map(({ errors }) => String(errors)),
        mean.toFixed(1),
        String(own[0]!.expected),
        String(own[0]!.rate),
      ]
    }),
  ]
}

function charts({ curves }: HintonMnistResult): LineChart[] {
  return [
    {
      title: 'Test errors while training (nothing is chosen by them)',
      x: 'epoch',
      y: 'errors of 10,000',
      series: Object.entries(curves)
        .filter(([job]) => job.endsWith('-1') || Object.keys(curves).length <= 6)
        .map(([name, curve]) => ({
          name,
          points: curve.flatMap(({ epoch, errors }) => (errors === undefined ? [] : [[epoch, errors] as const])),
        })),
    },
  ]
}
