import { inlineFunctions, type Model, topologicalSort } from '@imago/onnx'
import {
  ArgumentError,
  NotFoundError,
  type Predict,
  ShapeError,
  StateError,
  type Tensor,
  type TensorMap,
  tensor,
  tensorMap,
  UnsupportedError,
} from '@imago/tensor'
import { type Classifier, classifier } from './adapt/classifier.js'
import { concatRows } from './concat-rows.js'
import { areProbabilities, logitsOf, refuseNaN, scoresOf } from './finish-logits.js'
import type { InputMap } from './input-map.js'
import { encodeInternal, type ModelSource, resolveSource } from './model-source.js'
import { type OpenOptions, openSomewhere } from './open.js'
import { checkMaps, type Feeds, feedsFit, planFeeds, rowsOf } from './plan-feeds.js'
import type { Port, Session } from './session.js'

export interface PredictorOptions extends OpenOptions {
  /** Rows in one run where the model's batch is free. Default 256. */
  readonly batchSize?: number | undefined
  /** How data become the model's inputs: one map, or one for each input. */
  readonly map?: InputMap | readonly InputMap[] | undefined
  /** The output that classifies, where the model has several; any value inside the graph may be named. */
  readonly output?: string | undefined
  /** What the output holds, where the graph does not tell. Default: looked at on the first rows. */
  readonly gives?: 'logits' | 'probabilities' | undefined
  /** Outputs to give beside `logits`, as they are (hidden layers for hints); values inside the graph may be named. */
  readonly also?: readonly string[] | undefined
  /** Rows to check the input map on at once. Without them the first row of the first call is used. */
  readonly example?: TensorMap | undefined
}

/** Rows that are looked at where the graph does not tell what its output holds: one number in [0, 1] is soon met by chance. */
const looked = 64

/** A `Predict` with what was found in its model. */
export interface Predictor extends Predict {
  /** What was found and chosen, one sentence each; grows until the first rows have come out. */
  readonly notes: readonly string[]
  /** Idempotent. Ends the session too, unless it was given open. */
  dispose(): Promise<void>
}

/**
 * Any ONNX classifier as a `Predict`: inputs `[N, …]` by name (the only one, or `input`) → `logits` float32 [N, C]. Large
 * inputs run batch by batch; a fixed batch of the model is filled up. The signal is looked at between batches.
 *
 * A softmax or sigmoid at the end is cut off, probabilities without one become logarithms, a single output becomes two
 * logits [0, z]; `notes` says what was done.
 *
 * @param source a model, its bytes, its path, or a session (whose graph cannot be seen, so that nothing is cut off)
 * @throws FormatError, NotFoundError, UnsupportedError for the model; the predictor: ShapeError, NumericError (NaN came out), the
 * signal's reason
 */
export async function predictor(source: ModelSource | Session, options: PredictorOptions = {}): Promise<Predictor> {
  const { batchSize = 256, also = [] } = options
  if (!(Number.isInteger(batchSize) && batchSize > 0))
    throw new ArgumentError('predictor', 'batchSize', 'a whole number ≥ 1', batchSize)
  const found = await prepare(source, options)
  const { session, value } = found
  const notes = [...session.notes, ...found.notes]
  let fixed: number | undefined
  let gives = options.gives ?? found.gives
  let planned: Feeds | undefined
  let disposed = false

  const run = async (feeds: Feeds, inputs: TensorMap, from: number, to: number): Promise<TensorMap> => {
    const rows = to - from
    const fed = tensorMap(
      feeds.map(([port, name, feed]) => [port, feed(inputs[name]!, from, to, fixed ?? rows)] as const),
    )
    const results = await session.run(fed, [...new Set([value, ...also])])
    const scores = scoresOf(value, results[value]!, rows)
    refuseNaN('predictor', scores, from)
    if (gives === 'unknown') {
      gives = areProbabilities(scores) ? 'probabilities' : 'logits'
      if (gives === 'probabilities')
        notes.push(`output "${value}" holds probabilities and no softmax is to be seen; their logarithms are used`)
    }
    if (scores.dims[1] === 1) once(notes, `output "${value}" is one number z for each row; the logits are [0, z]`)
    else if (found.sigmoid)
      throw new UnsupportedError(
        'predictor',
        `the model ends in a Sigmoid over ${scores.dims[1]} outputs: each is a yes or no of its own, not one distribution`,
      )
    const others = also.map((name) => [name, firstRows(name, results[name]!, rows)] as const)
    return tensorMap([...others, ['logits', logitsOf(scores, gives === 'probabilities')]])
  }
  /** How these inputs are fed: as those before, or planned anew and tried on the first rows. */
  const feedsFor = async (inputs: TensorMap, rows: number): Promise<Feeds> => {
    if (planned !== undefined && feedsFit(planned, inputs)) return planned
    const { feeds, notes: more } = planFeeds(session.inputs, options.map, inputs)
    await run(feeds, inputs, 0, gives === 'unknown' ? Math.min(rows, fixed ?? batchSize, looked) : 1)
    for (const note of more) once(notes, note)
    planned = feeds
    return feeds
  }
  const predict = async (inputs: TensorMap, signal?: AbortSignal): Promise<TensorMap> => {
    signal?.throwIfAborted()
    if (disposed) throw new StateError('the predictor is disposed', 'Make another from its model')
    const rows = rowsOf(inputs)
    const feeds = await feedsFor(inputs, rows)
    const step = fixed ?? batchSize
    const parts: TensorMap[] = []
    for (let from = 0; from < rows; from += step) {
      signal?.throwIfAborted()
      parts.push(await run(feeds, inputs, from, Math.min(from + step, rows)))
    }
    return concatRows(parts)
  }

  try {
    fixed = fixedBatch(session.inputs)
    checkMaps(session.inputs, options.map)
    if (options.example !== undefined) await predict(options.example)
  } catch (error) {
    if (found.own) await session.dispose()
    throw error
  }
  return Object.assign(predict, {
    notes,
    async dispose() {
      disposed = true
      if (found.own) await session.dispose()
    },
  })
}

interface Prepared extends Pick<Classifier, 'value' | 'gives' | 'sigmoid' | 'notes'> {
  readonly session: Session
  readonly own: boolean
}

async function prepare(source: ModelSource | Session, options: PredictorOptions): Promise<Prepared> {
  const { output: wanted, also = [] } = options
  if (isSession(source)) {
    const floats = source.outputs.filter((port) => port.type?.startsWith('float')).map((port) => port.name)
    const value = wanted ?? floats.find((name) => name.toLowerCase() === 'logits') ?? floats[0]
    if (value === undefined) throw new UnsupportedError('predictor', 'the session has no floating point output')
    return { session: source, own: false, value, gives: 'unknown', sigmoid: false, notes: [] }
  }
  const resolved = await resolveSource('predictor', source)
  // Nodes in a circle would be followed for ever, long before ONNX Runtime sees them.
  const model = inlined({ ...resolved.model, graph: topologicalSort(resolved.model.graph) })
  const found = classifier(model, wanted)
  const known = new Set(model.graph.nodes.flatMap((node) => node.outputs))
  for (const name of also)
    if (!known.has(name)) throw new NotFoundError(`the model has no value "${name}"`, 'Name outputs of its nodes')
  const { graph } = found.model
  const listed = model.graph.outputs
  const more = also.filter((name) => name !== found.value)
  const outputs = [...graph.outputs, ...more.map((name) => listed.find((one) => one.name === name) ?? { name })]
  const adapted = { ...found.model, graph: { ...graph, outputs } }
  const session = await openSomewhere(options.name ?? resolved.where, encodeInternal(adapted), options)
  return { ...found, session, own: true }
}

/** A softmax inside a function of the model's own is seen once the function is inlined. */
function inlined(model: Model): Model {
  try {
    return inlineFunctions(model)
  } catch (error) {
    if (error instanceof UnsupportedError) return model
    throw error
  }
}

/** The batch that the model's inputs are made for, where they are. */
function fixedBatch(ports: readonly Port[]): number | undefined {
  const sizes = new Set(ports.flatMap(({ dims }) => (typeof dims?.[0] === 'number' ? [dims[0]] : [])))
  if (sizes.size > 1)
    throw new UnsupportedError('predictor', `the model's inputs ask for batches of ${[...sizes].join(' and ')}`)
  if (sizes.has(0)) throw new UnsupportedError('predictor', "the model's inputs ask for batches of 0 rows")
  return [...sizes][0]
}

function firstRows(name: string, value: Tensor, rows: number): Tensor {
  const [first = 0, ...rest] = value.dims
  if (first < rows) throw new ShapeError('predictor', name, `[${rows}, …]`, `[${value.dims.join(', ')}]`)
  if (first === rows) return value
  const data = value.data as Float32Array
  return tensor(value.type, [rows, ...rest], data.slice(0, (data.length / first) * rows))
}

function once(notes: string[], note: string): void {
  if (!notes.includes(note)) notes.push(note)
}

function isSession(source: ModelSource | Session): source is Session {
  return typeof source === 'object' && 'run' in source && 'dispose' in source
}
