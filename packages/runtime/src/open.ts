import type { EngineOptions } from './engine.js'
import { type IsolateOptions, openIsolated } from './isolated/open-isolated.js'
import { type ModelSource, resolveSource } from './model-source.js'
import { openLoadable, type Session } from './session.js'

export interface OpenOptions extends EngineOptions {
  /** Run the model in a process of its own, whose death is an `IsolationError` and not the end of this one. Default false. */
  readonly isolate?: boolean | IsolateOptions | undefined
  /** How messages name the model. Default its path, or `model`. */
  readonly name?: string | undefined
}

/**
 * Open a model in ONNX Runtime.
 *
 * @throws FormatError for a damaged model, NotFoundError for a missing file or a missing onnxruntime-node, UnsupportedError for
 * an op or a provider that does not work here
 */
export async function open(source: ModelSource, options: OpenOptions = {}): Promise<Session> {
  const { loadable, where } = await resolveSource('open', source)
  return openSomewhere(options.name ?? where, loadable, options)
}

/** In this process, or in one of its own. */
export function openSomewhere(
  where: string,
  loadable: Uint8Array | string,
  { isolate = false, threads, provider }: OpenOptions,
): Promise<Session> {
  const options = { threads, provider }
  if (isolate === false) return openLoadable(where, loadable, options)
  return openIsolated(where, loadable, options, isolate === true ? {} : isolate)
}
