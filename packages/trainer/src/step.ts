import type { Batch } from '@imago/data'
import { squaredNorm } from '@imago/kernels'
import type { AnyLoss, LossResult } from '@imago/losses'
import type { Optimizer, Progress } from '@imago/optim'
import { describe, NumericError, type Rng, type TensorMap, tensorMap } from '@imago/tensor'
import type { Parts } from './report.js'
import type { TrainableStudent } from './student.js'

export interface StepContext {
  /** What messages begin with: `train, step 12 (epoch 1, batch 12)`. */
  readonly where: string
  readonly student: TrainableStudent
  readonly loss: AnyLoss
  readonly optimizer: Optimizer
  readonly at: Progress
  /** This step's dropout masks. */
  readonly rng: Rng
}

export interface StepResult {
  readonly loss: number
  readonly parts: Parts
  readonly rate: number
  readonly gradientNorm: number
}

/**
 * One optimizer step on one batch. Everything is checked before anything moves: where a loss or a gradient is not finite, the
 * parameters are those of the step before.
 *
 * @throws NumericError
 */
export async function trainStep(
  context: StepContext,
  batch: Batch,
  targets: () => Promise<TensorMap>,
): Promise<StepResult> {
  const { where, student, loss, optimizer, at, rng } = context
  // Before the student's forward: a teacher in the same process may share the threads that it needs.
  const wanted = await targets()
  const { outputs, updates, pullback } = await student.differentiable.forward(student.parameters, batch.inputs, { rng })
  const { value, parts, cotangents, gradients: own, keep } = await evaluateLoss(context, outputs, wanted, batch)
  const gradients = own ? merged(await pullback(cotangents), own) : await pullback(cotangents)
  const measured = globalNorm(where, gradients)
  const parameters = loss.parameters ? merged(student.parameters, loss.parameters) : student.parameters
  const { rate } = optimizer.step(parameters, gradients, at)
  for (const name in updates) (student.parameters[name]!.data as Float32Array).set(updates[name]!.data as Float32Array)
  keep?.()
  return { loss: value, parts, rate, gradientNorm: measured }
}

/** A loss's own parameters stand beside the student's as `loss/<name>`. */
export function merged(student: TensorMap, loss: TensorMap): TensorMap {
  const all = tensorMap(Object.entries(student))
  for (const name in loss) all[`loss/${name}`] = loss[name]!
  return all
}

async function evaluateLoss(
  { where, loss, at }: StepContext,
  outputs: TensorMap,
  targets: TensorMap,
  batch: Batch,
): Promise<LossResult> {
  let result: LossResult
  try {
    result = await loss.evaluate(outputs, targets, loss.parameters, at)
  } catch (error) {
    if (error instanceof NumericError) throw new NumericError(where, `${error.message}. ${advice(batch)}`)
    throw error
  }
  if (!Number.isFinite(result.value)) throw new NumericError(where, `the loss is ${result.value}. ${advice(batch)}`)
  return result
}

/** The Euclidean norm of all gradients together: float64 sums of float32 squares never overflow, so NaN and ∞ show. */
function globalNorm(where: string, gradients: TensorMap): number {
  let sum = 0
  for (const name in gradients) {
    const squared = squaredNorm({ x: gradients[name]! })
    if (!Number.isFinite(squared))
      throw new NumericError(
        where,
        `the gradient of ${describe(name)} is not finite. Lower the learning rate, or clip gradients`,
      )
    sum += squared
  }
  return Math.sqrt(sum)
}

function advice(batch: Batch): string {
  const ids = [...batch.ids.subarray(0, 4)].join(', ')
  return `The batch begins with rows ${ids}. Lower the learning rate, clip gradients, or look for broken inputs`
}
