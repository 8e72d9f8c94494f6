import type { HintonSpeechResult, SpeechRow } from '@imago/papers'
import { effectsTable, type Report, settingsFacts, verdicts } from './page.js'

/** The tables of hinton-2015/speech, one a split, beside the paper's table 1. */
export function speechReport({ rows, effects, curves, sizes, settings }: HintonSpeechResult): Report {
  return {
    title: 'Hinton, Vinyals & Dean 2015, section 4: speech',
    summary: [
      `Frames of spoken digits with ${settings.context.before} before and ${settings.context.after} after → HMM states; nets of ${settings.hidden.join('-')} units, at most ${settings.epochs} epochs, ${settings.studentEpochs} for distilled nets and their twins, each that of its best epoch on held-out utterances; labels weigh ${settings.hardWeight} beside the soft targets' 1.`,
      'The baseline is the mean of the members; a twin is like a distilled net, but for learning from labels. The temperature that does best on held-out utterances is marked *. Kept: the share of the ensemble’s gain on test frames.',
      ...verdicts(effects),
    ],
    tables: [
      ...Object.entries(sizes).map(([split, { frames, utterances }]) => ({
        title: `${split}: ${frames} test frames of ${utterances} utterances`,
        rows: [
          [
            '',
            'nets',
            'held-out frames %',
            'test frames %',
            '±',
            'nats',
            'digit errors %',
            'kept %',
            'paper: frames %',
            'word errors %',
          ],
          ...rows.filter((row) => row.split === split).map(cells),
        ],
      })),
      effectsTable(effects),
    ],
    charts: [
      {
        title: 'Errors on held-out frames while training',
        x: 'epoch',
        y: 'percent',
        series: Object.entries(curves)
          .filter(([job]) => job.startsWith('official') && job.endsWith('-1'))
          .map(([name, curve]) => ({ name, points: curve.map(({ epoch, errors }) => [epoch, errors] as const) })),
      },
    ],
    facts: settingsFacts(settings),
  }
}

function cells(row: SpeechRow): string[] {
  const { name, temperature, chosen, kept, expected } = row
  return [
    temperature === undefined ? name : `${name}, T = ${temperature}${chosen ? ' *' : ''}`,
    String(row.nets),
    row.heldOutAccuracy.toFixed(2),
    row.testAccuracy.toFixed(2),
    row.nets > 1 ? row.deviation.toFixed(2) : '',
    row.crossEntropy.toFixed(3),
    row.digitErrorRate.toFixed(2),
    kept === undefined ? '' : (100 * kept).toFixed(0),
    expected ? expected.frameAccuracy.toFixed(1) : '',
    expected ? expected.wordErrorRate.toFixed(1) : '',
  ]
}
