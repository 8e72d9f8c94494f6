import { readModel } from '@imago/onnx'
import type { TrainedSpecialist } from '@imago/specialists'
import { ArgumentError } from '@imago/tensor'
import type { Context } from '../context.js'
import { short } from '../run/follow.js'
import { cacheFolder } from '../run/open-data.js'
import { digestOf } from '../run/student-model.js'
import { table } from '../terminal/table.js'
import { readPlan } from './plan-file.js'
import { type SpecialistTask, type SpecialistTraining, specialistWork } from './specialist-work.js'

export interface TrainOptions extends SpecialistTraining {
  readonly generalist: string
  readonly plan: string
  readonly only?: readonly string[]
  readonly json?: boolean
  readonly quiet?: boolean
}

/** `imago specialists train`: each specialist of a plan in a folder of its own; one that fails costs the others nothing. */
export async function trainCommand(context: Context, options: TrainOptions): Promise<number | undefined> {
  const { generalist, plan: folder, only, json, quiet: _, ...training } = options
  const { sets } = await readPlan(folder, digestOf(await readModel(generalist)))
  const names = sets.map(({ name }) => name)
  const unknown = only?.find((name) => !names.includes(name))
  if (unknown !== undefined)
    throw new ArgumentError('imago', '--only', `sets of the plan (${names.join(', ')})`, unknown)
  const dataDir = options.dataDir ?? context.env.IMAGO_DATA_DIR
  const tasks = names
    .filter((name) => only?.includes(name) ?? true)
    .map(
      (set): SpecialistTask => ({
        plan: folder,
        generalist,
        set,
        training: { ...training, ...(dataDir !== undefined && { dataDir }) },
        env: { IMAGO_CACHE_DIR: cacheFolder(context.env) },
      }),
    )
  const results = new Map<string, TrainedSpecialist>()
  const failures = new Map<string, string>()
  for (const task of tasks) {
    try {
      results.set(task.set, await followed(task, context))
    } catch (error) {
      if (context.signal.aborted) throw error
      failures.set(task.set, error instanceof Error ? error.message : String(error))
      context.note(`${task.set} failed, the others go on: ${failures.get(task.set)}`)
    }
  }
  if (json)
    context.out(
      JSON.stringify({ specialists: Object.fromEntries(results), failed: Object.fromEntries(failures) }, null, 2),
    )
  else
    context.out(
      table([
        ['specialist', 'epochs', 'best', 'held-out errors', 'of', 'offset'],
        ...[...results].map(([name, { epochs, stopped, best, offset }]) => [
          name,
          `${epochs}${stopped ? ' (stopped)' : ''}`,
          String(best.epoch),
          String(best.errors),
          String(best.rows),
          offset.toFixed(3),
        ]),
        ...[...failures].map(([name, reason]) => [name, 'failed', '', '', '', reason]),
      ]),
    )
  return failures.size > 0 ? 1 : undefined
}

async function followed(task: SpecialistTask, { progress, signal }: Context): Promise<TrainedSpecialist> {
  const reports = specialistWork(task, signal)
  for (;;) {
    const { value, done } = await reports.next()
    if (done) return value
    if (value.kind === 'step')
      progress.update(task.set, value.step, value.steps, `epoch ${value.epoch}  loss ${short(value.loss)}`)
    if (value.kind === 'resume')
      progress.log(`${task.set}: going on after step ${value.step} (${value.epoch} epochs done)`)
    if (value.kind === 'warning') progress.log(`warning: ${value.message}`)
  }
}
