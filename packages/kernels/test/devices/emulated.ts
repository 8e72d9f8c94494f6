import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { reportCuda } from '../../src/devices/cuda-report.js'
import { type Device, openDevice } from '../../src/devices/device.js'

/** The CUDA kernels over an emulated device, which the native build makes for tests: node native/build.mjs --emulation. */
export const emulation: string = fileURLToPath(
  new URL('../../../../native/build/Release/imago_cuda_emulated.so', import.meta.url),
)

/**
 * A GPU where there is one, else the emulation of one; null, with the reason printed, where neither is. To be called before
 * anything else asks for devices: a process opens one library.
 */
export function testDevice(): Device | null {
  if (process.env.IMAGO_TEST_GPU !== '1') {
    if (!existsSync(emulation)) {
      console.log(`skipped: ${emulation} is not built (node native/build.mjs --emulation)`)
      return null
    }
    process.env.IMAGO_CUDA_PATH = emulation
  }
  const { reason } = reportCuda()
  if (reason === undefined) return openDevice()
  console.log(`skipped: ${reason}`)
  return null
}
