import type { AnyLoss, LossResult } from '@imago/losses'
import { ArgumentError, clone, fromPredict, type Targets, type TensorMap, tensorMap } from '@imago/tensor'
import { predictStudent, type TrainableStudent } from './student.js'

/** A teacher that is the student's own past. */
export interface MeanTeacher {
  /** What it says of a batch: without dropout, by its own weights and statistics. */
  readonly targets: Targets
  /** Its tensors, by the student's names. They change in place. */
  readonly parameters: TensorMap
  /** The loss given, which also moves the teacher once a step is taken. */
  follow<Given extends AnyLoss>(loss: Given): Given
}

/**
 * Mean teacher (Tarvainen & Valpola 2017, §2): a teacher whose weights are the exponential mean of the student's, w′ ← α·w′ + (1 − α)·w after each
 * step, α = min(1 − 1/(step + 1), decay) so that the first steps are forgotten. It is remembered by the loss, and so part of checkpoints: give
 * `distill` its `targets` with `remember: false`, and `follow(loss)`.
 *
 * @throws ArgumentError for a decay outside [0, 1)
 */
export function meanTeacher(student: TrainableStudent, options: { readonly decay?: number } = {}): MeanTeacher {
  const { decay = 0.999 } = options
  if (!(decay >= 0 && decay < 1)) throw new ArgumentError('meanTeacher', 'decay', 'in [0, 1)', decay)
  const parameters = tensorMap(Object.entries(student.parameters).map(([name, value]) => [name, clone(value)]))
  const move = (step: number): void => {
    const kept = Math.min(1 - 1 / (step + 1), decay)
    for (const name in parameters) {
      const mean = parameters[name]!.data as Float32Array
      const now = student.parameters[name]!.data as Float32Array
      for (let i = 0; i < mean.length; i++) mean[i] = kept * mean[i]! + (1 - kept) * now[i]!
    }
  }
  return {
    targets: fromPredict(predictStudent({ ...student, parameters })),
    parameters,
    follow(loss) {
      const memory = tensorMap(Object.entries(loss.memory ?? {}))
      for (const name in parameters) memory[`mean teacher/${name}`] = parameters[name]!
      const evaluate: AnyLoss['evaluate'] = (outputs, targets, given, at) => {
        const moving = (result: LossResult): LossResult => ({
          ...result,
          keep() {
            result.keep?.()
            move((at?.step ?? 0) + 1)
          },
        })
        const result = loss.evaluate(outputs, targets, given, at)
        return result instanceof Promise ? (result.then(moving) as never) : moving(result)
      }
      return { ...loss, memory, evaluate } as typeof loss
    },
  }
}
