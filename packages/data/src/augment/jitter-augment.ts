import { jitter } from '@imago/kernels'
import { ArgumentError, tensor, tensorMap } from '@imago/tensor'
import type { Augment } from '../batch.js'
import { chosenInputs } from './chosen-inputs.js'
import { imageDims } from './image-dims.js'

export interface JitterOptions {
  /** The image's height and width where rows are flat; known from the dims otherwise (the last two). */
  readonly height?: number
  readonly width?: number
  /** Which input; all that are float32 if left out. */
  readonly input?: string
}

/**
 * Moves each image by whole pixels (dx, dy) in [−shift, shift]² (Hinton et al. 2015 §3: "jittered by up to two pixels in any
 * direction"). Inputs: float32 [N, H, W], [N, planes, H, W], or flat rows [N, planes·H·W] with height and width given;
 * 784 values in a row are taken as 28×28.
 *
 * @throws ArgumentError for a shift that is not a whole number ≥ 0, ShapeError for rows that are no such images
 */
export function jitterAugment(shift: number, options: JitterOptions = {}): Augment {
  if (!(Number.isSafeInteger(shift) && shift >= 0))
    throw new ArgumentError('jitterAugment', 'shift', 'a whole number ≥ 0', shift)
  return (batch, random) => {
    const chosen = chosenInputs('jitterAugment', batch, options.input)
    const inputs = tensorMap(
      Object.keys(batch.inputs).map((name) => {
        const value = batch.inputs[name]!
        if (!chosen.has(name)) return [name, value]
        const images = tensor('float32', imageDims('jitterAugment', name, value, options), value.data as Float32Array)
        const moved = jitter({ images, shift, rng: random.split(name) })
        return [name, tensor('float32', value.dims, moved.data)]
      }),
    )
    return { ...batch, inputs }
  }
}
