import type { SelfDistillationResult, SelfRow } from '@imago/papers'
import { effectsTable, type Report, settingsFacts, verdicts } from './page.js'

/** The table of self-distillation, each method beside the net on labels and what its paper reports of other nets. */
export function selfDistillationReport({ rows, effects, settings }: SelfDistillationResult): Report {
  return {
    title: 'Online and self distillation',
    summary: [
      `Nets of ${settings.hidden.join('-')} hidden units, ${settings.epochs} epochs, ${settings.seeds.length} seeds; mean teacher and its twin have ${settings.labelled} labels.`,
      'Errors in percent of the test rows at the last epoch. The papers have other nets and other data: their figures show a direction.',
      ...verdicts(effects),
    ],
    tables: [
      {
        title: 'Test errors',
        rows: [['', 'nets', 'errors %', 'by seed', 'cross entropy', 'paper: labels', 'method'], ...rows.map(cells)],
      },
      effectsTable(effects),
    ],
    charts: [],
    facts: settingsFacts(settings),
  }
}

function cells({ name, nets, errors, bySeed, crossEntropy, expected }: SelfRow): string[] {
  return [
    name,
    String(nets),
    errors.toFixed(2),
    bySeed.map((one) => one.toFixed(2)).join(', '),
    crossEntropy.toFixed(4),
    expected ? expected.labels.toFixed(2) : '',
    expected ? expected.method.toFixed(2) : '',
  ]
}
