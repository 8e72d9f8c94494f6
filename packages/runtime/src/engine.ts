import { availableParallelism } from 'node:os'
import { ArgumentError, describe, FormatError, UnsupportedError } from '@imago/tensor'
import { RuntimeError, reasonOf } from './errors.js'
import type { OnnxRuntime, OrtSession } from './onnxruntime.js'

export interface EngineOptions {
  /** Threads inside one operator. Default: the processors that this process may use. */
  readonly threads?: number | undefined
  /**
   * Execution provider: `cpu` (default), `cuda`, `webgpu`, … Of a list the first that works is taken, and the session says
   * which, and why those before it were not. One provider alone that does not work is an error, never another provider.
   */
  readonly provider?: string | readonly string[] | undefined
}

export interface Engine {
  readonly session: OrtSession
  readonly provider: string
  readonly notes: readonly string[]
}

type SessionOptions = NonNullable<Parameters<OnnxRuntime['InferenceSession']['create']>[1]>

/**
 * A session of ONNX Runtime with the settings that imago wants: as many threads as asked for and none of them spinning (two
 * sessions with spinning pools steal each other's processors), no memory pattern (batch sizes vary).
 */
export async function createEngine(
  ort: OnnxRuntime,
  where: string,
  model: Uint8Array | string,
  options: EngineOptions,
): Promise<Engine> {
  const threads = options.threads ?? availableParallelism()
  if (!(Number.isInteger(threads) && threads > 0))
    throw new ArgumentError('open', 'threads', 'a whole number ≥ 1', threads)
  const wanted = options.provider ?? 'cpu'
  const providers = typeof wanted === 'string' ? [wanted] : [...wanted]
  if (providers.length === 0) throw new ArgumentError('open', 'provider', 'at least one provider', providers)
  const notes: string[] = []
  for (const provider of providers) {
    try {
      const settings = sessionOptions(threads, provider)
      const session = await (typeof model === 'string'
        ? ort.InferenceSession.create(model, settings)
        : ort.InferenceSession.create(model, settings))
      return { session, provider, notes }
    } catch (cause) {
      if (providers.length === 1) throw creationError(where, provider, cause)
      notes.push(`provider ${provider} does not work here: ${reasonOf(cause)}`)
    }
  }
  throw new UnsupportedError(where, `none of the providers ${describe(providers)} works. ${notes.join('; ')}`)
}

function sessionOptions(threads: number, provider: string): SessionOptions {
  return {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    enableMemPattern: false,
    // Errors are thrown with the same text; printing them to stderr as well helps nobody.
    logSeverityLevel: 4,
    extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
  }
}

function creationError(where: string, provider: string, cause: unknown): Error {
  const reason = reasonOf(cause)
  if (/not a registered|No Op registered|NOT_IMPLEMENTED|Could not find an implementation|opset/i.test(reason))
    return new UnsupportedError(where, `ONNX Runtime does not run it: ${reason}`, { cause })
  if (provider !== 'cpu' && /provider|backend|shared library|device|driver|Vulkan|adapter/i.test(reason))
    return new UnsupportedError(`provider ${provider}`, `does not work here: ${reason}`, { cause })
  if (/protobuf|INVALID_GRAPH|not a valid|Load model/i.test(reason))
    return new FormatError(where, `ONNX Runtime does not load it: ${reason}`, { cause })
  return new RuntimeError(`${where} does not load`, cause)
}
