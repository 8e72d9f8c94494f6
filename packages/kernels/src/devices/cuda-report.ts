import { native } from '../loader/load.js'
import type { CudaReport } from './cuda-binding.js'

/** The library of CUDA kernels and the devices, or why there are none. */
export function reportCuda(): CudaReport {
  const { binding, off } = native()
  if (binding === null) return { path: '', reason: off ? 'switched off by IMAGO_NATIVE=off' : 'no native addon' }
  if (binding.cuda === undefined)
    return { path: '', reason: 'the addon is older than its devices; build or install it anew' }
  return binding.cuda.describe()
}
