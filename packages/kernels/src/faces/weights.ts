import { ArgumentError, dims, type Tensor } from '@imago/tensor'
import type { KernelBuffer } from '../binding.js'
import type { AnyTensor, DeviceMemory } from '../devices/device-tensor.js'
import { memory, positive } from '../guard.js'
import { checkApart } from './slots.js'

/** What every optimizer step takes. */
export interface WeightOptions<X extends AnyTensor = Tensor> {
  /** Changed in place; a tensor of rank ≥ 2 is a matrix of dims[0] rows. float32. */
  readonly parameter: X
  /** Same dims, float32. */
  readonly gradient: X
  /** The largest squared length of a unit's incoming weights; left out: no limit. */
  readonly maxSquaredNorm?: number | undefined
  /** Where a unit's incoming weights lie: a row each (Conv, Gemm with transB) or a column each (MatMul). `rows` unless given. */
  readonly units?: 'rows' | 'columns' | undefined
  /** Where the new weights go as bfloat16 (to nearest, ties to even), written in the same pass. Same dims. */
  readonly copy?: X | undefined
}

/** Guard the tensors of an optimizer step and give their memory in the kernel's order: parameter, gradient, slots, copy. */
export function weights(
  caller: string,
  { parameter, gradient, maxSquaredNorm, units = 'rows', copy }: WeightOptions<AnyTensor>,
  slots: { readonly [name: string]: AnyTensor },
): {
  buffers: (KernelBuffer | DeviceMemory)[]
  rows: number
  columns: number
  unitAxis: -1 | 0 | 1
  maxSquaredNorm: number
} {
  dims(caller, { parameter: [parameter, '...', 'float32'] })
  const pattern = parameter.dims.join(' ')
  dims(caller, { gradient: [gradient, pattern, 'float32'], copy: [copy, pattern, 'bfloat16'] })
  const arrays: { [name: string]: Float32Array | Uint16Array | DeviceMemory } = {
    parameter: memory(caller, 'parameter', parameter, 'float32'),
    gradient: memory(caller, 'gradient', gradient, 'float32'),
  }
  for (const name in slots) {
    dims(caller, { [name]: [slots[name], pattern, 'float32'] })
    arrays[name] = memory(caller, name, slots[name]!, 'float32')
  }
  if (copy !== undefined) arrays.copy = memory(caller, 'copy', copy, 'bfloat16')
  checkApart(caller, arrays)
  if (units !== 'rows' && units !== 'columns') throw new ArgumentError(caller, 'units', "'rows' | 'columns'", units)
  const free = maxSquaredNorm === undefined || maxSquaredNorm === Number.POSITIVE_INFINITY
  const rows = parameter.dims.length < 2 ? 1 : parameter.dims[0]!
  return {
    buffers: [...Object.values(arrays), ...(copy === undefined ? [null] : [])],
    rows,
    columns: rows === 0 ? 0 : arrays.parameter!.length / rows,
    unitAxis: free ? -1 : units === 'rows' ? 0 : 1,
    maxSquaredNorm: free ? 0 : positive(caller, 'maxSquaredNorm', maxSquaredNorm),
  }
}
