import type { BaCaruanaResult, BaCaruanaRow } from '@imago/papers'
import { effectsTable, type Report, settingsFacts, verdicts } from './page.js'

/** The tables of ba-caruana-2014, one a data set, beside the paper's phone error rates. */
export function baCaruanaReport({ rows, effects, curves, settings }: BaCaruanaResult): Report {
  const sets = [...new Set(rows.map(({ set }) => set))]
  return {
    title: 'Ba & Caruana 2014: do deep nets really need to be deep?',
    summary: [
      `A shallow net of ${settings.bottleneck} linear and ${settings.hidden} hidden units: on labels, on the mean logits of ${settings.members} deep nets by regression, and on their distribution at temperatures; ${settings.studentEpochs} epochs, each net that of its best epoch on held-out rows.`,
      'Closed: the share of the gap in errors between labels and the teacher. The paper’s numbers are phone error rates on TIMIT; here they are errors in frames and in images.',
      ...verdicts(effects),
    ],
    tables: [
      ...sets.map((set) => ({
        title: set,
        rows: [
          [
            '',
            'nets',
            'weights',
            'rate',
            'held-out errors %',
            'test errors %',
            'nats',
            'closed %',
            'paper: phone errors %',
          ],
          ...rows.filter((row) => row.set === set).map(cells),
        ],
      })),
      effectsTable(effects),
    ],
    charts: sets.map((set) => ({
      title: `${set}: errors on held-out rows of shallow nets while training`,
      x: 'epoch',
      y: 'percent',
      series: Object.entries(curves)
        .filter(
          ([job]) => job.startsWith(`${set}-shallow`) && job.endsWith(`-${settings.rates[0]}-${settings.seeds[0]}`),
        )
        .map(([name, curve]) => ({ name, points: curve.map(({ epoch, errors }) => [epoch, errors] as const) })),
    })),
    facts: settingsFacts(settings),
  }
}

function cells(row: BaCaruanaRow): string[] {
  const { name, temperature, nets, parameters, rate, closed, expected } = row
  return [
    temperature === undefined ? name : `${name}, T = ${temperature}`,
    String(nets),
    parameters === undefined ? '' : String(parameters),
    rate === undefined ? '' : String(rate),
    row.heldOutErrorRate.toFixed(2),
    row.testErrorRate.toFixed(2),
    row.testCrossEntropy.toFixed(3),
    closed === undefined ? '' : (100 * closed).toFixed(0),
    expected === undefined ? '' : expected.toFixed(1),
  ]
}
