import type { RecipeEvent } from '@imago/papers'
import type { Context } from '../context.js'
import { short } from './follow.js'

/** Show a recipe's events and return what it returns. */
export async function followRecipe<T>(
  events: AsyncGenerator<RecipeEvent, T>,
  { progress }: Pick<Context, 'progress'>,
): Promise<T> {
  for (;;) {
    const { value, done } = await events.next()
    if (done) return value
    show(value)
  }

  function show(event: RecipeEvent): void {
    if (event.kind === 'job') {
      const said = {
        begins: 'begins',
        done: 'done',
        found: 'was done before',
        elsewhere: 'is done by another process; waiting',
      }
      progress.log(`[${event.done}/${event.of}] ${event.job} ${said[event.state]}`)
      return
    }
    const { job, report } = event
    if (report.kind === 'step')
      progress.update(job, report.step, report.steps, `epoch ${report.epoch}  loss ${short(report.loss)}`)
    else if (report.kind === 'targets') progress.update(`${job}: teacher outputs`, report.rows, report.of)
    else if (report.kind === 'resume')
      progress.log(`${job}: going on after step ${report.step} (${report.epoch} epochs done)`)
    else if (report.kind === 'warning') progress.log(`warning: ${report.message}`)
  }
}
