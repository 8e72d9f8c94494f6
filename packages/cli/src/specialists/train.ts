import { availableParallelism } from 'node:os'
import { readModel } from '@imago/onnx'
import type { TrainedSpecialist } from '@imago/specialists'
import { ArgumentError } from '@imago/tensor'
import { type JsonObject, runWorkers, type WorkerEvent, type WorkersResult } from '@imago/trainer'
import type { Context } from '../context.js'
import { short } from '../run/follow.js'
import { cacheFolder } from '../run/open-data.js'
import { digestOf } from '../run/student-model.js'
import { table } from '../terminal/table.js'
import { readPlan } from './plan-file.js'
import type { SpecialistTask, SpecialistTraining } from './specialist-work.js'

export interface TrainOptions extends SpecialistTraining {
  readonly generalist: string
  readonly plan: string
  readonly workers?: number
  readonly only?: readonly string[]
  readonly json?: boolean
  readonly quiet?: boolean
}

/** `imago specialists train`: each specialist of a plan in a folder and a process of its own; one that fails costs the others nothing. */
export async function trainCommand(context: Context, options: TrainOptions): Promise<number | undefined> {
  const { generalist, plan: folder, workers, only, json, quiet: _, ...training } = options
  const { sets } = await readPlan(folder, digestOf(await readModel(generalist)))
  const names = sets.map(({ name }) => name)
  const unknown = only?.find((name) => !names.includes(name))
  if (unknown !== undefined)
    throw new ArgumentError('imago', '--only', `sets of the plan (${names.join(', ')})`, unknown)
  const dataDir = options.dataDir ?? context.env.IMAGO_DATA_DIR
  const tasks = names
    .filter((name) => only?.includes(name) ?? true)
    .map((set) => {
      const task: SpecialistTask = {
        plan: folder,
        generalist,
        set,
        training: { ...training, ...(dataDir !== undefined && { dataDir }) },
        env: { IMAGO_CACHE_DIR: cacheFolder(context.env) },
      }
      return { name: set, task: task as unknown as JsonObject }
    })
  const { results: came, failures } = await followed(
    runWorkers({
      script: new URL('./worker.js', import.meta.url),
      tasks,
      workers: workers ?? Math.max(1, Math.floor(availableParallelism() / options.threads)),
      signal: context.signal,
    }),
    options.epochs,
    context,
  )
  // In the plan's order, not in that in which they were done.
  const results = names.flatMap((name) => {
    const result = came.get(name)
    return result ? [[name, result as TrainedSpecialist] as const] : []
  })
  if (json)
    context.out(
      JSON.stringify({ specialists: Object.fromEntries(results), failed: Object.fromEntries(failures) }, null, 2),
    )
  else
    context.out(
      table([
        ['specialist', 'epochs', 'best', 'held-out errors', 'of', 'offset'],
        ...results.map(([name, { epochs, stopped, best, offset }]) => [
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

/** One line for all: epochs done, and where each of those that are being trained is. A specialist that is done counts with all its epochs. */
async function followed(
  events: AsyncGenerator<WorkerEvent, WorkersResult>,
  epochs: number,
  { progress }: Context,
): Promise<WorkersResult> {
  let [ended, of] = [0, 0]
  const running = new Map<string, { readonly epoch: number; readonly loss: string }>()
  for (;;) {
    const { value, done } = await events.next()
    if (done) return value
    if (value.kind !== 'report') {
      if (value.kind === 'begins') running.set(value.task, { epoch: 1, loss: '' })
      else running.delete(value.task)
      ended = value.done + value.failed
      of = value.of
      if (value.kind === 'failed') progress.log(`${value.task} failed, the others go on: ${value.reason}`)
      continue
    }
    const { task, report } = value
    if (report.kind === 'step') running.set(task, { epoch: report.epoch, loss: `  loss ${short(report.loss)}` })
    if (report.kind === 'resume')
      progress.log(`${task}: going on after step ${report.step} (${report.epoch} epochs done)`)
    if (report.kind === 'warning') progress.log(`${task}: warning: ${report.message}`)
    const now = [...running].map(([name, { epoch, loss }]) => `${name} epoch ${epoch}${loss}`).join(', ')
    const passed = [...running.values()].reduce((sum, { epoch }) => sum + epoch - 1, ended * epochs)
    progress.update('epochs', passed, of * epochs, now)
  }
}
