import { ArgumentError, dims, type Tensor, type TensorMap } from '@imago/tensor'

/** A parameter and its gradient, checked to fit. */
export interface Trained {
  readonly name: string
  readonly parameter: Tensor<'float32'>
  readonly gradient: Tensor<'float32'>
}

/** The parameters that have a gradient; the others stand still. */
export function trained(caller: string, parameters: TensorMap, gradients: TensorMap): Trained[] {
  const pairs: Trained[] = []
  for (const name in gradients) {
    const parameter = parameters[name]
    if (parameter === undefined)
      throw new ArgumentError(caller, 'gradients', 'gradients of tensors in `parameters`', name)
    const gradient = gradients[name]!
    // Compared by hand: this runs for each tensor in each step, and the shape pattern is only needed for the message.
    if (parameter.type !== 'float32' || gradient.type !== 'float32' || !sameDims(parameter.dims, gradient.dims))
      refuse(caller, name, parameter, gradient)
    pairs.push({ name, parameter: parameter as Tensor<'float32'>, gradient: gradient as Tensor<'float32'> })
  }
  return pairs
}

function sameDims(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

function refuse(caller: string, name: string, parameter: Tensor, gradient: Tensor): never {
  const pattern = parameter.dims.join(' ')
  dims(caller, { [`parameters.${name}`]: [parameter, pattern, 'float32'] })
  dims(caller, { [`gradients.${name}`]: [gradient, pattern, 'float32'] })
  throw new ArgumentError(caller, `gradients.${name}`, 'a tensor like its parameter', gradient)
}
