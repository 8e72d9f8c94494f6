import { ArgumentError, NumericError, UnsupportedError } from '@imago/tensor'
import type { KernelBuffer } from './binding.js'
import { checked } from './devices/answers.js'
import type { DeviceReport, Handle } from './devices/cuda-binding.js'
import { reportCuda } from './devices/cuda-report.js'
import type { Device } from './devices/device.js'
import type { DeviceMemory } from './devices/device-tensor.js'
import { currentStream } from './devices/make-stream.js'
import { native } from './loader/load.js'
import { type Kernel, reference } from './reference/index.js'
import { type KernelName, onCpuAlone, signatures } from './signatures.js'

/** Who computes: the addon on the CPU, the TypeScript reference, a GPU. */
export type BackendName = 'cpu' | 'reference' | 'cuda'

/**
 * `auto`: where the tensors are: device tensors run on their device, others on the addon where it loads, else the reference with one
 * warning that says why.
 */
export type Backend = 'auto' | BackendName

export interface BackendReport {
  readonly name: BackendName
  readonly available: boolean
  /** True for the backend that `auto` takes now. */
  readonly chosen: boolean
  /** Why it is not available. */
  readonly reason?: string
  /** The addon's file, its instruction set in use, those it could use, its threads. */
  readonly path?: string
  readonly isa?: string
  readonly isas?: readonly string[]
  readonly threads?: number
  /** The GPUs, by index; one that is `emulated` is none. */
  readonly devices?: readonly DeviceReport[]
  /** The kernels that run on them. */
  readonly kernels?: readonly string[]
}

const names: readonly Backend[] = ['auto', 'reference', 'cpu', 'cuda']
const uploadFirst = 'the tensors are on the host; openDevice() gives a device, device.upload(tensor) brings one there'

let preferred: Backend = 'auto'
let warned = false

/** What can compute here, what `auto` means, and why not where something cannot. */
export function backends(): BackendReport[] {
  const { binding, path } = native()
  const chosen = preferred === 'auto' ? (binding === null ? 'reference' : 'cpu') : preferred
  const cpu: BackendReport =
    binding === null
      ? { name: 'cpu', available: false, chosen: false, reason: whyNoAddon() }
      : { name: 'cpu', available: true, chosen: chosen === 'cpu', path: path!, ...addonInfo() }
  return [
    cpu,
    { name: 'reference', available: true, chosen: chosen === 'reference' },
    { name: 'cuda', chosen: chosen === 'cuda', ...cudaInfo() },
  ]
}

/**
 * What `backend: 'auto'` means from now on in this thread: a fixed backend, or `auto` to choose again.
 * @throws ArgumentError for an unknown name, UnsupportedError for a backend that is not available here
 */
export function useBackend(backend: Backend): void {
  const { reason } = backend === 'cuda' ? reportCuda() : {}
  if (reason !== undefined) throw new UnsupportedError("useBackend: backend 'cuda'", reason)
  if (backend !== 'auto' && backend !== 'cuda') resolve('useBackend', backend)
  preferred = backend
}

/**
 * Run a kernel on a backend, or, where its buffers are device memory, on the device's current stream. What the kernel refuses becomes a
 * typed error that names the caller; a row that a device refuses is found by who waits for the stream.
 * @throws ArgumentError for labels or row weights, NumericError for NaN or infinity in a row, UnsupportedError for the backend
 */
export function run(
  caller: string,
  kernel: KernelName,
  backend: Backend | undefined,
  given: readonly (KernelBuffer | DeviceMemory)[],
  scalars: readonly number[],
): void {
  const device = deviceOf(caller, kernel, given)
  try {
    const buffers = given as KernelBuffer[]
    if (device !== null) callOnDevice(caller, kernel, backend ?? 'auto', device, given, scalars)
    else if (resolve(caller, backend ?? 'auto') === 'cpu')
      native().binding!.functions[kernel]!(packed(scalars), ...buffers)
    else (reference[kernel] as Kernel)(buffers, scalars)
  } catch (error) {
    throw typed(caller, error)
  }
}

const kept: Float64Array[] = []

/** The scalars in memory that is kept: the addon asks once for all of them. */
function packed(scalars: readonly number[]): Float64Array {
  const count = scalars.length
  const memory = (kept[count] ??= new Float64Array(count))
  for (let i = 0; i < count; i++) memory[i] = scalars[i]!
  return memory
}

/** The device of a call whose tensors are all there, null where none is. Which some are not: refused. */
function deviceOf(
  caller: string,
  kernel: KernelName,
  buffers: readonly (KernelBuffer | DeviceMemory)[],
): Device | null {
  let first: DeviceMemory | null = null
  for (const buffer of buffers) if (buffer !== null && !ArrayBuffer.isView(buffer)) first ??= buffer
  if (first === null) return null
  const { device } = first
  const placeOf = (buffer: KernelBuffer | DeviceMemory): Device | null =>
    buffer === null ? device : ArrayBuffer.isView(buffer) ? null : buffer.device
  const other = buffers.findIndex((buffer) => placeOf(buffer) !== device)
  if (other < 0) return device
  const name = signatures[kernel].buffers[other]?.split(/[ ?]/)[0] ?? 'buffer'
  const here = placeOf(buffers[other]!) === null ? 'on the host' : 'on another device'
  throw new ArgumentError(caller, name, 'on the device of the other tensors (device.upload brings it there)', here)
}

function callOnDevice(
  caller: string,
  kernel: KernelName,
  backend: Backend,
  device: Device,
  buffers: readonly (KernelBuffer | DeviceMemory)[],
  scalars: readonly number[],
): void {
  checkName(caller, backend)
  if (backend === 'cpu' || backend === 'reference')
    throw new UnsupportedError(
      `${caller}: backend '${backend}'`,
      'the tensors are on a device; tensor.read() brings one here',
    )
  const { kernels } = reportCuda()
  if (kernels?.includes(kernel) !== true)
    throw new UnsupportedError(
      `${caller}: backend 'cuda'`,
      `${onCpuAlone[kernel] ?? `this build has no CUDA kernel ${kernel}`}; read() the tensors and call it here`,
    )
  const handles = buffers.map((buffer): Handle | null => (buffer === null ? null : (buffer as DeviceMemory).handle))
  const stream = currentStream(device)
  checked(caller, () => native().binding!.cuda!.call(kernel, handles, scalars, stream))
}

function checkName(caller: string, backend: Backend): void {
  if (!names.includes(backend))
    throw new ArgumentError(caller, 'backend', names.map((name) => `'${name}'`).join(' | '), backend)
}

function resolve(caller: string, backend: Backend): 'cpu' | 'reference' {
  checkName(caller, backend)
  const wanted = backend === 'auto' ? preferred : backend
  if (wanted === 'reference') return 'reference'
  if (wanted === 'cuda') throw new UnsupportedError(`${caller}: backend 'cuda'`, reportCuda().reason ?? uploadFirst)
  const { binding, off } = native()
  if (binding !== null) return 'cpu'
  if (wanted === 'cpu') throw new UnsupportedError(`${caller}: backend 'cpu'`, whyNoAddon())
  if (!off) warnOnce()
  return 'reference'
}

/** Falling back is said once, and not at all where IMAGO_NATIVE=off asked for it. */
function warnOnce(): void {
  if (warned) return
  warned = true
  process.emitWarning(
    `imago computes with its TypeScript reference, which is slow: ${whyNoAddon()}. ` +
      'Build the addon (npm run build) or install the package of your platform; IMAGO_NATIVE=off accepts the reference.',
    { code: 'IMAGO_NO_NATIVE' },
  )
}

/** Why there is no addon, in one line. */
export function whyNoAddon(): string {
  const { attempts } = native()
  return `no native addon (${attempts.map(({ path, reason }) => (path === null ? reason : `${path}: ${reason}`)).join('; ')})`
}

function cudaInfo(): Partial<BackendReport> & { available: boolean } {
  const { path, reason, devices, kernels } = reportCuda()
  if (devices === undefined) return { available: false, reason: reason ?? 'no device' }
  return { available: true, path, devices, ...(kernels && { kernels }) }
}

function addonInfo(): { isa: string; isas: readonly string[]; threads: number } {
  const { isa, available, threads } = native().binding!.info()
  return { isa, isas: available, threads }
}

/** `labels: 12 in row 5 is not a class` → ArgumentError, other refused rows → NumericError, the rest as it came. */
export function typed(caller: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const match =
    /^(?:\w+: )?(labels|rowWeights|logits|general|probabilities|x|distribution|indices|values|logTail|(?:student|teacher)(?:Hidden|Weight|Bias)?): (\S+) (.*row \d+)/.exec(
      error.message,
    )
  if (match === null) return error
  const [, buffer, value, where] = match as unknown as [string, string, string, string]
  const options = { cause: error }
  if (buffer === 'labels')
    return new ArgumentError(caller, buffer, `a class, −1 or ignoreIndex ${where}`, Number(value), options)
  if (buffer === 'rowWeights')
    return new ArgumentError(caller, buffer, `finite and ≥ 0 ${where}`, Number(value), options)
  if (buffer === 'indices')
    return new ArgumentError(caller, buffer, `classes, each once, ${where}`, Number(value), options)
  const remedy = /Weight|Bias/.test(buffer) ? '' : '; give the row weight 0 to leave it out'
  return new NumericError(`${caller}: "${buffer}"`, `${value} ${where}${remedy}`)
}
