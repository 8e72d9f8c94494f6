import type { MnistTransferResult, TransferRow } from '@imago/papers'
import { effectsTable, type Report, settingsFacts, verdicts } from './page.js'

/** The table of `hinton-2015/mnist --omit … --only …`: each choice of bias beside the paper's numbers. */
export function mnistTransferReport({ rows, teachers, effects, settings }: MnistTransferResult): Report {
  return {
    title: 'Hinton, Vinyals & Dean 2015, section 3: digits that the student never saw',
    summary: [
      `A student distilled at T = ${settings.temperature} from a teacher that knows all ten digits, on a transfer set without some of them; ${settings.epochs} epochs.`,
      `Teachers make ${teachers.map(({ errors }) => errors).join(', ')} test errors.`,
      'The shift is added to the biases of the digits never seen. By the prior: their mean probability over the training images is made their share of the training set, and no label is read; best on the test set: the bound that the paper reports.',
      ...verdicts(effects),
    ],
    tables: [
      {
        title: `Test errors of ${rows[0]?.rows ?? 0}`,
        rows: [
          [
            'transfer set',
            'seed',
            'bias',
            'shift',
            'errors',
            'of unseen digits',
            'paper: errors',
            'of unseen',
            'shift',
          ],
          ...rows.map(cells),
        ],
      },
      effectsTable(effects),
    ],
    charts: [],
    facts: settingsFacts(settings),
  }
}

function cells(row: TransferRow): string[] {
  const { expected } = row
  return [
    row.transfer,
    String(row.seed),
    row.bias,
    row.shift.toFixed(2),
    String(row.errors),
    `${row.unseenErrors} of ${row.unseenRows}`,
    String(expected?.errors ?? ''),
    String(expected?.unseenErrors ?? ''),
    String(expected?.shift ?? ''),
  ]
}
