import type { Batch, Batches } from '@imago/data'
import {
  ArgumentError,
  describe,
  NotFoundError,
  NumericError,
  ShapeError,
  StateError,
  type Tensor,
  type TensorMap,
  tensorMap,
} from '@imago/tensor'
import type { BatchTargets, FitOptions } from './fit.js'
import type { WarningReport } from './report.js'

/**
 * Try one row before the first step, so that what cannot work says so at once and in the caller's words: outputs and targets
 * that the loss needs are there, teacher and student have the same classes, the teacher's numbers are numbers.
 */
export async function checkStart(
  caller: string,
  options: Pick<FitOptions, 'student' | 'loss' | 'data' | 'signal'>,
  targets: BatchTargets,
): Promise<WarningReport | undefined> {
  const { student, loss, data, signal } = options
  signal?.throwIfAborted()
  const row = await firstRow(caller, data)
  const { outputs } = await student.differentiable.forward(student.parameters, row.inputs, { train: false })
  need(caller, 'the student has no output', loss.needs.student, outputs)
  const own = outputs.logits
  const before = own?.data.slice()
  const given = await targets(row, signal)
  need(caller, 'there is no target', loss.needs.targets, given)
  for (const name in given) checkNumbers(caller, name, given[name]!)
  if (own) checkLabel(caller, row, own)
  const theirs = given.logits
  if (!own || !before || !theirs) return undefined
  if (theirs.dims.length !== own.dims.length || theirs.dims.at(-1) !== own.dims.at(-1))
    throw new ShapeError(
      caller,
      'targets.logits',
      `[${['N', ...own.dims.slice(1)].join(', ')}] as the student's logits are (${own.dims.at(-1)} classes)`,
      `[${['N', ...theirs.dims.slice(1)].join(', ')}] (the teacher has ${theirs.dims.at(-1)} classes)`,
    )
  if (theirs.data === own.data)
    throw new StateError(
      `${caller}: the teacher's logits lie in the student's own memory`,
      'Give the teacher a session of its own, or copy what it returns',
    )
  return (before as Float32Array).every((value, i) => value === theirs.data[i])
    ? {
        kind: 'warning',
        message: 'teacher and student answer the first row alike to the last bit: are they one model?',
      }
    : undefined
}

/** The first row of the first batch, as a batch. */
export async function firstRow(caller: string, data: Batches): Promise<Batch> {
  for await (const batch of data.epoch(0)) {
    const inputs = tensorMap()
    for (const name in batch.inputs) {
      const { type, dims, data: all } = batch.inputs[name]!
      inputs[name] = { type, dims: [1, ...dims.slice(1)], data: all.slice(0, all.length / dims[0]!) as typeof all }
    }
    return { ids: batch.ids.slice(0, 1), inputs, ...(batch.labels && { labels: batch.labels.slice(0, 1) }) }
  }
  throw new NotFoundError(`${caller}: the data has no rows`, 'Give at least one batch.')
}

function need(caller: string, lacks: string, names: readonly string[], there: TensorMap): void {
  for (const name of names)
    if (!there[name])
      throw new NotFoundError(
        `${caller}: ${lacks} ${describe(name)}, which the loss reads`,
        `There is: ${Object.keys(there).join(', ') || 'nothing'}`,
      )
}

/** −∞ is a teacher's way to give a class no mass; NaN and +∞ are nobody's. */
function checkNumbers(caller: string, name: string, { type, data }: Tensor): void {
  if (type !== 'float32' && type !== 'float64') return
  const bad = (data as Float32Array).find((value) => Number.isNaN(value) || value === Number.POSITIVE_INFINITY)
  if (bad !== undefined)
    throw new NumericError(
      caller,
      `the targets ${describe(name)} of the first row hold ${bad}. Look at the teacher's input: its scale, its layout`,
    )
}

function checkLabel(caller: string, { labels, ids }: Batch, logits: Tensor): void {
  const classes = logits.dims.at(-1)!
  const label = labels?.[0]
  if (label !== undefined && label >= classes)
    throw new ArgumentError(
      caller,
      'labels',
      `classes in [0, ${classes}), as many as the student has outputs (row ${ids[0]})`,
      label,
    )
}
