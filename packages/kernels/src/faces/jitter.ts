import { dims, elementCount, type Rng, ShapeError, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { checkDisjoint, memory, whole } from '../guard.js'
import { resultIn } from './place.js'

export interface JitterOptions<X extends AnyTensor = Tensor> {
  /** Images `[N, ..., H, W]`, float32; planes of one image move together. */
  readonly images: X
  /** The largest shift in pixels, along each axis. */
  readonly shift: number
  /** Moves on by one Philox block for every image. */
  readonly rng: Rng
  /** Where the result goes, same dims; not the images' own memory. */
  readonly out?: X | undefined
  readonly backend?: Backend | undefined
}

/**
 * Move each image by whole pixels drawn uniformly from [−shift, shift]²; what comes in from outside is 0. The augmentation of
 * the MNIST teacher in Hinton, Vinyals & Dean 2015, §3 (±2 pixels). The same bits on every backend.
 *
 * @throws ShapeError, ArgumentError, UnsupportedError for a backend that is not there
 */
export function jitter(options: JitterOptions): Tensor<'float32'>
export function jitter(options: JitterOptions<DeviceTensor>): DeviceTensor<'float32'>
export function jitter(options: JitterOptions<AnyTensor>): AnyTensor<'float32'> {
  const caller = 'jitter'
  const { images, out, rng, backend } = options
  const { H, W } = dims(caller, { images: [images, '... H W', 'float32'] }) as { H: number; W: number }
  if (images.dims.length < 3) throw new ShapeError(caller, 'images', '[N, ..., H, W]', `[${images.dims.join(', ')}]`)
  dims(caller, { out: [out, images.dims.join(' '), 'float32'] })
  const shift = whole(caller, 'shift', options.shift, 0, 2 ** 20)
  const read = memory(caller, 'images', images, 'float32')
  const { result, written } = resultIn(caller, out, images, 'float32', images.dims)
  if (out) checkDisjoint(caller, 'out', written, { images: read })
  const count = images.dims[0]!
  const { key, block } = rng.reserve(count)
  const planes = elementCount(images.dims.slice(1, -2))
  if (read.length > 0)
    run(caller, 'jitter', backend, [read, written], [count, planes, H, W, shift, key[0], key[1], block])
  return result
}
