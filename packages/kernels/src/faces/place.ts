import { arrayTypes, elementCount, type Tensor, tensor } from '@imago/tensor'
import { type AnyTensor, type DeviceMemory, type DeviceTensor, isDeviceTensor } from '../devices/device-tensor.js'
import { type Memory, memory } from '../guard.js'
import { sums } from './sums.js'

type ResultType = 'float32' | 'float16' | 'bfloat16' | 'int32' | 'float64'

/** A new tensor where `x` is: on its device, or here. */
export function beside<T extends ResultType>(x: AnyTensor | undefined, type: T, dims: readonly number[]): AnyTensor<T> {
  if (isDeviceTensor(x)) return x.device.allocate(type, dims) as AnyTensor<T>
  return tensor(type, [...dims], new arrayTypes[type](elementCount(dims)) as Tensor<T>['data']) as AnyTensor<T>
}

/** A result and its memory: where the caller wants it, or new and beside `x`. */
export function resultIn<T extends ResultType>(
  caller: string,
  out: AnyTensor | undefined,
  x: AnyTensor | undefined,
  type: T,
  dims: readonly number[],
  argument = 'out',
): { result: AnyTensor<T>; written: Memory[T] | DeviceMemory } {
  const result = (out ?? beside(x, type, dims)) as AnyTensor<T>
  const written = memory(caller, argument, result, type)
  if (isDeviceTensor(result) || out === undefined) return { result, written }
  return { result: tensor(type, [...dims], written as Tensor<T>['data']) as AnyTensor<T>, written }
}

/** Numbers that a kernel writes, where `x` is. */
export interface Numbers {
  readonly memory: Float64Array | DeviceMemory
  /** The numbers; on a device each is a tensor without dims, and this is to be called once. */
  take(): (number | DeviceTensor<'float64'>)[]
}

/** `take` before the next call of a kernel: on the host the memory is kept. */
export function numbers(x: AnyTensor, count: 1 | 3): Numbers {
  if (!isDeviceTensor(x)) {
    const memory = sums(count)
    return { memory, take: () => (count === 1 ? [memory[0]!] : [memory[0]!, memory[1]!, memory[2]!]) }
  }
  const all = x.device.allocate('float64', [count])
  return {
    memory: all.data,
    take() {
      const each = Array.from({ length: count }, (_, i) => all.view(i, []))
      all.dispose()
      return each
    },
  }
}
