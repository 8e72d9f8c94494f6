import type { VjpProgram } from '@imago/autodiff'
import type { TensorMap } from '@imago/tensor'

/** What the symbols of the program's data inputs (`N`) stand for in this batch. */
export function symbolSizes(program: VjpProgram, inputs: TensorMap): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const { name, shape } of program.forward.inputs) {
    const dims = inputs[name]?.dims
    if (dims === undefined || shape === undefined) continue
    for (const [i, dim] of shape.entries())
      if (typeof dim === 'string' && dims[i] !== undefined) sizes.set(dim, dims[i])
  }
  return sizes
}

/** Rows of the batch: the first dim of the first data input. */
export function batchRows(program: VjpProgram, inputs: TensorMap): number {
  return inputs[program.inputs[0] ?? '']?.dims[0] ?? 1
}
