import { ImagoError, NotFoundError, UnsupportedError } from '@imago/tensor'
import { typed, whyNoAddon } from '../backend.js'
import type { KernelBuffer, NativeKernel } from '../binding.js'
import { checked } from '../devices/answers.js'
import { type DeviceMemory, isDeviceTensor } from '../devices/device-tensor.js'
import { currentStream } from '../devices/make-stream.js'
import { openLibrary } from '../loader/library.js'
import { native } from '../loader/load.js'
import { deviceOf, positional } from './checked-call.js'
import type { KernelDescription, KernelLibrary } from './kernel-library.js'

/**
 * Load a library of kernels: a shared object that exports `imago_kernels` (native/include/imago/kernel.h). Its table is checked
 * before anything in it is called; its code runs in this process with all its rights, so load only what you trust. A library
 * belongs to the thread that loads it and is never unloaded; loading it again gives the same kernels.
 *
 * @throws UnsupportedError where there is no addon or the library is of another version of the ABI, NotFoundError where there is
 * no file, FormatError naming file, field, what it must be and what it is
 */
export function loadKernels(path: string | URL): KernelLibrary {
  const { binding } = native()
  if (binding === null) throw new UnsupportedError('loadKernels', whyNoAddon())
  const library = openLibrary('loadKernels', binding, path)
  const kernels = library.kernels.map(({ call, callOnDevice, ...description }): KernelDescription => description)

  function find(name: string): NativeKernel {
    const kernel = library.kernels.find((one) => one.name === name)
    if (kernel === undefined)
      throw new NotFoundError(
        `${library.name}: there is no kernel ${JSON.stringify(name)}`,
        `There are: ${kernels.map((one) => one.name).join(', ')}`,
      )
    return kernel
  }

  function cpuFunction(kernel: NativeKernel): NonNullable<NativeKernel['call']> {
    if (kernel.call !== undefined) return kernel.call
    const { name, backends } = kernel
    throw new UnsupportedError(
      `${library.name}.${name}: backend 'cpu'`,
      `it has functions for ${backends.join(', ')} only`,
    )
  }

  function deviceFunction(kernel: NativeKernel): NonNullable<NativeKernel['callOnDevice']> {
    if (kernel.callOnDevice !== undefined) return kernel.callOnDevice
    throw new UnsupportedError(`${library.name}.${kernel.name}: backend 'cuda'`, 'it has no CUDA function')
  }

  return {
    name: library.name,
    version: library.version,
    path: library.path,
    kernels,
    kernel: (name) => cpuFunction(find(name)),
    call(name, buffers, scalars) {
      const kernel = find(name)
      const caller = `${library.name}.${kernel.name}`
      // Read once: a getter may give another the second time, or take a buffer away that was looked at.
      const given = typeof buffers === 'object' && buffers !== null ? { ...buffers } : buffers
      const isHere = !Object.values(given ?? {}).some(isDeviceTensor)
      const run = isHere ? cpuFunction(kernel) : undefined
      const call = positional(caller, kernel, given, scalars)
      const device = deviceOf(caller, kernel, call.buffers)
      try {
        if (device === null) return run!(call.buffers as KernelBuffer[], call.scalars)
        const handles = call.buffers.map((buffer) => (buffer as DeviceMemory | null)?.handle ?? null)
        const enqueue = deviceFunction(kernel)
        checked(caller, () => enqueue(handles, call.scalars, currentStream(device)))
      } catch (error) {
        throw refused(caller, error)
      }
    },
  }
}

/** What a kernel of others refuses: typed where it speaks as ours do, and always an error of imago. */
function refused(caller: string, error: unknown): unknown {
  const known = typed(caller, error)
  if (known instanceof ImagoError || !(error instanceof Error)) return known
  return new ImagoError('ERR_KERNEL', `${caller}: ${error.message}`, { cause: error })
}
