import { ArgumentError, NumericError, UnsupportedError } from '@imago/tensor'
import type { KernelBuffer } from './binding.js'
import { native } from './loader/load.js'
import { type Kernel, reference } from './reference/index.js'
import type { KernelName } from './signatures.js'

/** Who computes: the addon on the CPU, the TypeScript reference, a GPU. */
export type BackendName = 'cpu' | 'reference' | 'cuda'

/** `auto`: the addon where it loads, else the reference with one warning that says why. */
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
}

const names: readonly Backend[] = ['auto', 'reference', 'cpu', 'cuda']
const noCuda = 'this build has no CUDA kernels'

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
    { name: 'cuda', available: false, chosen: false, reason: noCuda },
  ]
}

/**
 * What `backend: 'auto'` means from now on in this thread: a fixed backend, or `auto` to choose again.
 * @throws ArgumentError for an unknown name, UnsupportedError for a backend that is not available here
 */
export function useBackend(backend: Backend): void {
  if (backend !== 'auto') resolve('useBackend', backend)
  preferred = backend
}

/**
 * Run a kernel on a backend. What the kernel refuses becomes a typed error that names the caller.
 * @throws ArgumentError for labels or row weights, NumericError for NaN or infinity in a row, UnsupportedError for the backend
 */
export function run(
  caller: string,
  kernel: KernelName,
  backend: Backend | undefined,
  buffers: KernelBuffer[],
  scalars: readonly number[],
): void {
  const implementation = resolve(caller, backend ?? 'auto')
  try {
    if (implementation === 'cpu') native().binding!.call(kernel, buffers, scalars)
    else (reference[kernel] as Kernel)(buffers, scalars)
  } catch (error) {
    throw typed(caller, error)
  }
}

function resolve(caller: string, backend: Backend): 'cpu' | 'reference' {
  if (!names.includes(backend))
    throw new ArgumentError(caller, 'backend', names.map((name) => `'${name}'`).join(' | '), backend)
  const wanted = backend === 'auto' ? preferred : backend
  if (wanted === 'reference') return 'reference'
  if (wanted === 'cuda') throw new UnsupportedError(`${caller}: backend 'cuda'`, noCuda)
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

function addonInfo(): { isa: string; isas: readonly string[]; threads: number } {
  const { isa, available, threads } = native().binding!.info()
  return { isa, isas: available, threads }
}

/** `labels: 12 in row 5 is not a class` → ArgumentError, other refused rows → NumericError, the rest as it came. */
export function typed(caller: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const match =
    /^(?:\w+: )?(labels|rowWeights|logits|distribution|(?:student|teacher)(?:Hidden|Weight|Bias)?): (\S+) (.*row \d+)/.exec(
      error.message,
    )
  if (match === null) return error
  const [, buffer, value, where] = match as unknown as [string, string, string, string]
  const options = { cause: error }
  if (buffer === 'labels')
    return new ArgumentError(caller, buffer, `a class, −1 or ignoreIndex ${where}`, Number(value), options)
  if (buffer === 'rowWeights')
    return new ArgumentError(caller, buffer, `finite and ≥ 0 ${where}`, Number(value), options)
  const remedy = /Weight|Bias/.test(buffer) ? '' : '; give the row weight 0 to leave it out'
  return new NumericError(`${caller}: "${buffer}"`, `${value} ${where}${remedy}`)
}
