import { squaredNorm } from '@imago/kernels'
import { describe, NumericError, StateError, type Tensor, type TensorMap, tensorMap } from '@imago/tensor'
import { differences } from './differences.js'
import type { FitOptions } from './fit.js'
import type { JsonObject } from './json.js'
import type { TrainingState } from './state.js'

/** What makes a run the run that it is, as a checkpoint keeps it: the caller's config, and what can be seen from here. */
export function runConfig(options: FitOptions): JsonObject {
  const { student, data, loss, optimizer, epochs, rng, checkpoint } = options
  const dims = Object.fromEntries(Object.entries(student.parameters).map(([name, value]) => [name, [...value.dims]]))
  return JSON.parse(
    JSON.stringify({
      ...checkpoint?.config,
      epochs,
      optimizer: optimizer.name,
      needs: loss.needs,
      data: { batches: data.length, rows: data.rows, augmented: data.augmented },
      seed: rng.state().key,
      parameters: dims,
    }),
  ) as JsonObject
}

/** The state between two steps. Tensors by reference: write them before the next one. */
export function stateOf(
  options: FitOptions,
  config: JsonObject,
  position: Pick<TrainingState, 'step' | 'epoch' | 'batch' | 'meter' | 'history'>,
): TrainingState {
  const { student, loss, optimizer, rng } = options
  const { name, step, slots } = optimizer.state()
  const tensors = tensorMap()
  for (const key in student.parameters) tensors[`parameter/${key}`] = student.parameters[key]!
  for (const key in loss.parameters) tensors[`loss/${key}`] = loss.parameters[key]!
  for (const key in loss.memory) tensors[`memory/${key}`] = loss.memory[key]!
  for (const key in slots) tensors[`slot/${key}`] = slots[key]!
  return { ...position, config, rng: rng.state(), optimizer: { name, step }, tensors }
}

/**
 * Put a state back into student, loss and optimizer. Returns warnings (differences that `force` passes over).
 *
 * @throws StateError naming each difference, before anything is changed
 */
export function restoreState(caller: string, options: FitOptions, config: JsonObject, state: TrainingState): string[] {
  const differ = differences(state.config, config)
  if (differ.length > 0 && !options.checkpoint?.force)
    throw new StateError(
      `${caller}: the checkpoint belongs to another run (${differ.join('; ')})`,
      'Give the options of that run, choose another folder, or force it to go on with these',
    )
  const slots = part(state.tensors, 'slot/')
  const pairs = [
    ...paired(caller, options.student.parameters, part(state.tensors, 'parameter/')),
    ...paired(caller, options.loss.parameters ?? {}, part(state.tensors, 'loss/')),
    ...paired(caller, options.loss.memory ?? {}, part(state.tensors, 'memory/')),
  ]
  options.optimizer.restore({ ...state.optimizer, slots })
  for (const [to, from] of pairs) (to.data as Float32Array).set(from.data as Float32Array)
  return differ.map((difference) => `going on although the run differs: ${difference}`)
}

/** @throws NumericError naming the first tensor that holds NaN or ∞: such a state must not replace a good one */
export function checkFinite(where: string, tensors: TensorMap): void {
  for (const name in tensors) {
    const value = tensors[name]!
    if (value.type === 'float32' && !Number.isFinite(squaredNorm({ x: value })))
      throw new NumericError(
        where,
        `${describe(name)} holds NaN or infinity, so no checkpoint is written; the one before is intact. Lower the learning rate, or clip gradients`,
      )
  }
}

function part(tensors: TensorMap, prefix: string): TensorMap {
  const chosen = tensorMap()
  for (const name in tensors) if (name.startsWith(prefix)) chosen[name.slice(prefix.length)] = tensors[name]!
  return chosen
}

function paired(caller: string, here: TensorMap, there: TensorMap): [Tensor, Tensor][] {
  const names = [...new Set([...Object.keys(here), ...Object.keys(there)])]
  return names.map((name) => {
    const [to, from] = [here[name], there[name]]
    if (to && from && to.type === from.type && `${to.dims}` === `${from.dims}`) return [to, from]
    throw new StateError(
      `${caller}: tensor ${describe(name)} of the checkpoint does not fit this model (${shape(from)} there, ${shape(to)} here)`,
      'Give the model that the run was begun with',
    )
  })
}

function shape(value: Tensor | undefined): string {
  return value ? `${value.type} [${value.dims.join(', ')}]` : 'nothing'
}
