import { clone, StateError, type Tensor, type TensorMap, tensorMap, zeros } from '@imago/tensor'
import type { OptimizerState } from './optimizer.js'

/** What an optimizer remembers between steps: its step count, and one tensor a kind (`velocity`, `m` …) and parameter. */
export interface Slots {
  /** Steps taken. */
  readonly step: number
  /** False until the first `open`, and after `restore`: what is checked once is due. */
  readonly opened: boolean
  /** Make or check the slots for these gradients: the first step fixes which parameters are trained. */
  open(gradients: TensorMap): void
  /** The slot of this kind and parameter; `open` has checked it. */
  of(kind: string, parameter: string): Tensor<'float32'>
  /** Count a step that has been taken. */
  advance(): void
  state(): OptimizerState
  restore(state: OptimizerState): void
}

/** Empty slots for the optimizer `name`, zeros at the first step. */
export function slots(name: string, kinds: readonly string[]): Slots {
  let step = 0
  let held: { [slot: string]: Tensor<'float32'> } | undefined
  let checked = ''

  const open = (gradients: TensorMap): void => {
    if (held === undefined) {
      held = Object.create(null) as { [slot: string]: Tensor<'float32'> }
      for (const kind of kinds)
        for (const parameter in gradients) held[`${kind}/${parameter}`] = zeros('float32', gradients[parameter]!.dims)
    }
    // The same names and dims as at the step before are not checked again slot by slot.
    const signature = signatureOf(gradients)
    if (signature === checked) return
    check(name, kinds, held, gradients)
    checked = signature
  }

  return {
    get step() {
      return step
    },
    get opened() {
      return checked !== ''
    },
    open,
    of: (kind, parameter) => held![`${kind}/${parameter}`]!,
    advance() {
      step++
    },
    state: () => ({ name, step, slots: tensorMap(Object.entries(held ?? {})) }),
    restore(state) {
      if (state.name !== name)
        throw new StateError(
          `This is the state of the optimizer ${JSON.stringify(state.name)}, not of ${JSON.stringify(name)}`,
          'Continue with the optimizer that wrote it, or start anew',
        )
      if (!Number.isSafeInteger(state.step) || state.step < 0)
        throw new StateError(`The state of ${name} says step ${state.step}`, 'Use a state that state() returned')
      const copies = copy(name, kinds, state)
      step = state.step
      held = copies
      checked = ''
    },
  }
}

/** Copies, so that the optimizer's next step does not write into a checkpoint that someone still holds. */
function copy(
  name: string,
  kinds: readonly string[],
  state: OptimizerState,
): { [slot: string]: Tensor<'float32'> } | undefined {
  const copies = Object.create(null) as { [slot: string]: Tensor<'float32'> }
  const names = Object.keys(state.slots)
  if (names.length === 0 && state.step === 0) return undefined
  for (const slot of names) {
    const value = state.slots[slot]!
    if (value.type !== 'float32' || !kinds.some((kind) => slot.startsWith(`${kind}/`)))
      throw new StateError(
        `The state has ${JSON.stringify(slot)} of type ${value.type}, which is no slot of ${name}`,
        `Its slots are float32 tensors named ${kinds.map((kind) => `${kind}/<parameter>`).join(', ')}`,
      )
    copies[slot] = clone(value as Tensor<'float32'>)
  }
  return copies
}

function check(name: string, kinds: readonly string[], held: TensorMap, gradients: TensorMap): void {
  const remedy = 'Continue with the model that the state was made for, or make a new optimizer'
  let expected = 0
  for (const kind of kinds)
    for (const parameter in gradients) {
      expected++
      const slot = held[`${kind}/${parameter}`]
      if (slot === undefined)
        throw new StateError(`${name} has no ${JSON.stringify(`${kind}/${parameter}`)} in its state`, remedy)
      const dims = gradients[parameter]!.dims
      if (slot.dims.join() !== dims.join())
        throw new StateError(
          `${name}: ${JSON.stringify(`${kind}/${parameter}`)} in the state is [${slot.dims.join(', ')}], the parameter [${dims.join(', ')}]`,
          remedy,
        )
    }
  if (Object.keys(held).length !== expected) {
    const lost = Object.keys(held).find((slot) => !(slot.slice(slot.indexOf('/') + 1) in gradients))
    throw new StateError(`${name} has ${JSON.stringify(lost)} in its state, but that parameter has no gradient`, remedy)
  }
}

function signatureOf(gradients: TensorMap): string {
  let text = ''
  for (const name in gradients) text += `${name}\n${gradients[name]!.dims.join()}\n`
  return text
}
