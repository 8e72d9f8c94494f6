import type { JsonObject, Outcome, Report, RunFolder } from '@imago/trainer'
import type { Context } from '../context.js'

/** Show the reports of a training run, and keep what belongs in `metrics.jsonl`. */
export async function follow(
  reports: AsyncGenerator<Report, Outcome>,
  folder: RunFolder,
  { progress }: Pick<Context, 'progress'>,
  task: string,
): Promise<Outcome> {
  for (;;) {
    const { value, done } = await reports.next()
    if (done) return value
    await show(value)
  }

  async function show(report: Report): Promise<void> {
    switch (report.kind) {
      case 'step':
        progress.update(task, report.step, report.steps, `epoch ${report.epoch}  loss ${short(report.loss)}`)
        break
      case 'epoch': {
        const { kind: _, ...row } = report
        await folder.metrics.append({ task, ...(row as unknown as JsonObject) })
        break
      }
      case 'targets':
        progress.update('teacher outputs', report.rows, report.of)
        break
      case 'resume':
        await folder.metrics.rewind(report.step)
        progress.log(`${task}: going on after step ${report.step} (${report.epoch} epochs done)`)
        break
      case 'warning':
        progress.log(`warning: ${report.message}`)
        break
      case 'checkpoint':
        break
    }
  }
}

/** A number at the length that people read. */
export function short(value: number): string {
  return Math.abs(value) >= 1e-3 || value === 0 ? value.toPrecision(3) : value.toExponential(1)
}
