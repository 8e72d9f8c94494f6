import { ArgumentError, type DataType, dims, NotFoundError, StateError, type TensorMap, tensorMap } from '@imago/tensor'
import { createEngine, type EngineOptions } from './engine.js'
import { RuntimeError } from './errors.js'
import { type OrtSession, onnxruntime } from './onnxruntime.js'
import { feeder, plain } from './ort-tensor.js'

/** An input or output of a model. Without `type` it is not a dense tensor; a dim that is text may be any size. */
export interface Port {
  readonly name: string
  readonly type?: DataType
  readonly dims?: readonly (number | string)[]
}

export interface Session {
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  /** The execution provider in use. */
  readonly provider: string
  /** What was chosen on the way, and why. */
  readonly notes: readonly string[]
  /**
   * Run the model once. Feeds are not copied. Runs of one session come one after another, whoever starts them; a run that
   * has begun cannot be stopped.
   *
   * @param outputs names to fetch, default all that are tensors
   * @throws ArgumentError, ShapeError for feeds that do not fit; RuntimeError; StateError after dispose
   */
  run(feeds: TensorMap, outputs?: readonly string[]): Promise<TensorMap>
  /** Idempotent; waits for the run in progress. */
  dispose(): Promise<void>
}

/** Open in this process what `resolveSource` gave. */
export async function openLoadable(
  where: string,
  loadable: Uint8Array | string,
  options: EngineOptions,
): Promise<Session> {
  const ort = await onnxruntime()
  const { session, provider, notes } = await createEngine(ort, where, loadable, options)
  const inputs = ports(session.inputMetadata)
  const outputs = ports(session.outputMetadata)
  const feed = feeder(ort)
  const execute = async (feeds: TensorMap, names: readonly string[]): Promise<TensorMap> => {
    const fed: { [name: string]: ReturnType<typeof feed> } = {}
    for (const { name } of inputs) fed[name] = feed(feeds[name]!)
    try {
      const results = await session.run(fed, [...names])
      return tensorMap(names.map((name) => [name, plain(results[name]!)]))
    } catch (cause) {
      throw new RuntimeError(`${where} does not run`, cause)
    }
  }
  return sessionOver({ where, inputs, outputs, provider, notes }, execute, () => session.release())
}

/** A session over whatever executes: checks what is fed and asked for, and lets one run come after another. */
export function sessionOver(
  facts: Pick<Session, 'inputs' | 'outputs' | 'provider' | 'notes'> & { readonly where: string },
  execute: (feeds: TensorMap, names: readonly string[]) => Promise<TensorMap>,
  release: () => Promise<void>,
): Session {
  const { where, inputs, outputs, provider, notes } = facts
  const tensors = outputs.filter((port) => port.type !== undefined).map((port) => port.name)
  let disposed: Promise<void> | undefined
  let last: Promise<unknown> = Promise.resolve()
  return {
    inputs,
    outputs,
    provider,
    notes,
    run(feeds, names = tensors) {
      if (disposed) return Promise.reject(new StateError(`the session of ${where} is disposed`, 'Open the model again'))
      const unknown = names.find((name) => !tensors.includes(name))
      if (unknown !== undefined)
        return Promise.reject(
          new NotFoundError(`${where} has no tensor output "${unknown}"`, `Its outputs are ${tensors.join(', ')}`),
        )
      const run = last.then(() => {
        checkFeeds(inputs, feeds)
        return execute(feeds, names)
      })
      last = run.catch(() => undefined)
      return run
    },
    dispose() {
      disposed ??= last.then(release)
      return disposed
    },
  }
}

type Metadata = OrtSession['inputMetadata'][number]

function ports(metadata: readonly Metadata[]): Port[] {
  return metadata.map((port) => {
    if (!port.isTensor) return { name: port.name }
    const shape = port.shape.map((dim) => (typeof dim === 'number' || dim !== '' ? dim : '?'))
    return { name: port.name, type: port.type as DataType, dims: shape }
  })
}

function checkFeeds(inputs: readonly Port[], feeds: TensorMap): void {
  const missing = inputs.filter((port) => feeds[port.name] === undefined).map((port) => port.name)
  if (missing.length > 0)
    throw new ArgumentError('Session.run', 'feeds', `tensors for ${missing.join(', ')} too`, Object.keys(feeds))
  for (const { name, type, dims: sizes } of inputs) {
    // Symbols are left to ONNX Runtime: files that use one symbol for two sizes exist, and run.
    const pattern = sizes?.map((dim) => (typeof dim === 'number' ? dim : '_')).join(' ') ?? '...'
    dims('Session.run', { [name]: type === undefined ? [feeds[name], pattern] : [feeds[name], pattern, type] })
  }
}
