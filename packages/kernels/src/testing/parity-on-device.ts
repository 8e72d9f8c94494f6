import type { KernelBuffer } from '../binding.js'
import type { Handle } from '../devices/cuda-binding.js'
import type { Device } from '../devices/device.js'
import type { DeviceTensor } from '../devices/device-tensor.js'
import { currentStream } from '../devices/make-stream.js'
import { native } from '../loader/load.js'
import { reference } from '../reference/index.js'
import type { KernelName } from '../signatures.js'
import { type Laid, type ParityRow, trials } from './parity.js'
import { parityTables } from './tables.js'

/**
 * Compare a built-in CUDA kernel with its reference on every case, in two memory layouts: the whole call goes to the device, guard
 * elements and all, and comes back. Rows are refused when the stream is waited for; what number it was is not told then.
 * `only`: the cases whose name it accepts.
 */
export async function parityOnDevice(
  kernel: KernelName,
  device: Device,
  only: (name: string) => boolean = () => true,
): Promise<ParityRow[]> {
  const rows: ParityRow[] = []
  const table = parityTables[kernel]
  const chosen = table.cases.filter(({ name }) => only(name))
  const cases = chosen.map((one) => ({ ...one, ...(one.refuses && { refuses: withoutNumbers(one.refuses) }) }))
  for (const { laid, judge } of trials(kernel, { ...table, cases }, reference[kernel]))
    rows.push(...judge(await attempt(kernel, device, laid)))
  return rows
}

/** `labels: 12 in row 5` as a device says it: buffer and row; logits that come as a matrix of their own have its name. */
function withoutNumbers({ source, flags }: RegExp): RegExp {
  const parts = /(labels|distribution|indices|values|logTail): .*?(row \d+)/.exec(source)
  const said = parts === null ? source : `\\b${parts[1]}: .*\\b${parts[2]}\\b`
  return new RegExp(said.replace(/(student|teacher): /, '$1\\w*: '), flags)
}

/** Make the call; what it threw, or null. The buffers of `laid` then hold what is on the device. */
async function attempt(kernel: KernelName, device: Device, laid: Laid): Promise<unknown> {
  const cuda = native().binding!.cuda!
  const there = new Map<ArrayBufferLike, { tensor: DeviceTensor<'uint8'>; bytes: Uint8Array }>()
  const handles: Handle[] = []
  const handleOf = (buffer: KernelBuffer): Handle | null => {
    if (buffer === null) return null
    const bytes = new Uint8Array(buffer.buffer)
    const known = there.get(buffer.buffer)
    const tensor = known?.tensor ?? device.upload({ type: 'uint8', dims: [bytes.length], data: bytes })
    there.set(buffer.buffer, { tensor, bytes })
    const kind = (buffer as unknown as { [Symbol.toStringTag]: string })[Symbol.toStringTag]
    const handle = cuda.reinterpret(tensor.data.handle, buffer.byteOffset, kind, buffer.length)
    handles.push(handle)
    return handle
  }
  let thrown: unknown = null
  try {
    cuda.call(kernel, laid.buffers.map(handleOf), laid.scalars, currentStream(device))
  } catch (error) {
    thrown = error
  }
  thrown = (await cuda.read(currentStream(device), null, null, false).then(sentence, (error) => error)) ?? thrown
  for (const { tensor, bytes } of there.values()) {
    bytes.set((await tensor.read()).data)
    tensor.dispose()
  }
  for (const handle of handles) cuda.dispose(handle)
  return thrown
}

const sentence = (refused: string | null): unknown => (refused === null ? null : new Error(refused))
