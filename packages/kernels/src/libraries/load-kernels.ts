import { ImagoError, NotFoundError, UnsupportedError } from '@imago/tensor'
import { typed, whyNoAddon } from '../backend.js'
import type { NativeKernel } from '../binding.js'
import { openLibrary } from '../loader/library.js'
import { native } from '../loader/load.js'
import type { Kernel } from '../reference/index.js'
import { positional } from './checked-call.js'
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
  const kernels = library.kernels.map(({ call, ...description }): KernelDescription => description)

  function find(name: string): NativeKernel {
    const kernel = library.kernels.find((one) => one.name === name)
    if (kernel === undefined)
      throw new NotFoundError(
        `${library.name}: there is no kernel ${JSON.stringify(name)}`,
        `There are: ${kernels.map((one) => one.name).join(', ')}`,
      )
    return kernel
  }

  function runner(kernel: NativeKernel): Kernel {
    const caller = `${library.name}.${kernel.name}`
    const { call } = kernel
    if (call === undefined)
      throw new UnsupportedError(`${caller}: backend 'cpu'`, `it has functions for ${kernel.backends.join(', ')} only`)
    return (buffers, scalars) => {
      try {
        call(buffers, scalars)
      } catch (error) {
        throw refused(caller, error)
      }
    }
  }

  return {
    name: library.name,
    version: library.version,
    path: library.path,
    kernels,
    kernel: (name) => runner(find(name)),
    call(name, buffers, scalars) {
      const kernel = find(name)
      const run = runner(kernel)
      const checked = positional(`${library.name}.${kernel.name}`, kernel, buffers, scalars)
      run(checked.buffers, checked.scalars)
    },
  }
}

/** What a kernel of others refuses: typed where it speaks as ours do, and always an error of imago. */
function refused(caller: string, error: unknown): unknown {
  const known = typed(caller, error)
  if (known instanceof ImagoError || !(error instanceof Error)) return known
  return new ImagoError('ERR_KERNEL', `${caller}: ${error.message}`, { cause: error })
}
