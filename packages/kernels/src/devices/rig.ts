import type { CudaBinding } from './cuda-binding.js'
import type { Device } from './device.js'
import type { Stream } from './stream.js'

/** What the parts of one device share. */
export interface Rig {
  readonly cuda: CudaBinding
  readonly index: number
  readonly device: Device
  open: boolean
  /** The stream that kernels run on. */
  current: Stream | null
  /** What the capture that is under way has to keep; null where none is. */
  captured: object[] | null
}
