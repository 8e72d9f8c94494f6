import type { VjpProgram } from '@imago/autodiff'
import { dropoutMask } from '@imago/kernels'
import { evaluateDim } from '@imago/onnx'
import { ArgumentError, elementCount, type Rng, type TensorMap, tensor, UnsupportedError } from '@imago/tensor'
import type { BatchBuffers } from './batch-buffers.js'
import type { Feeder } from './ort-tensor.js'
import { symbolSizes } from './symbols.js'

/** Draw the dropout masks of one step into the buffers of its batch shape and feed them. The order of `program.noise` is the order of the draws. */
export function drawNoise(
  program: VjpProgram,
  inputs: TensorMap,
  rng: Rng | undefined,
  buffers: BatchBuffers,
  feed: Feeder,
): void {
  if (program.noise.length === 0) return
  if (rng === undefined)
    throw new ArgumentError('forward', 'rng', 'a generator, as the student has dropout (or train: false)', rng)
  for (const { name, dims, probability } of program.noise) {
    let mask = buffers.masks[name]
    if (mask === undefined) {
      const sizes = symbolSizes(program, inputs)
      const shape = dims.map((dim) => {
        const size = evaluateDim(dim, sizes)
        if (size === undefined)
          throw new UnsupportedError(`the mask "${name}"`, `its size ${dim} does not follow from the inputs' dims`)
        return size
      })
      mask = buffers.masks[name] = tensor('float32', shape, new Float32Array(elementCount(shape)))
      buffers.forwardFeeds[name] = feed(mask)
    }
    dropoutMask({ out: mask, probability, rng })
  }
}
