import type { VjpProgram } from '@imago/autodiff'
import type { Dim, Graph } from '@imago/onnx'
import {
  ArgumentError,
  dims,
  NotFoundError,
  StateError,
  type Tensor,
  type TensorMap,
  tensorMap,
  UnsupportedError,
  zeros,
} from '@imago/tensor'
import { type BatchBuffers, batchBuffers } from './batch-buffers.js'
import type { Differentiable, ForwardOptions, ForwardResult } from './differentiable.js'
import { createEngine, type EngineOptions } from './engine.js'
import { RuntimeError } from './errors.js'
import { encodeGraph } from './model-source.js'
import { drawNoise } from './noise.js'
import { type OrtSession, type OrtTensor, onnxruntime } from './onnxruntime.js'
import { feeder, plain } from './ort-tensor.js'
import { statisticUpdates } from './statistics.js'

export interface DifferentiableOptions extends EngineOptions {
  /**
   * The graph for `train: false`: the program's data inputs and parameters (and running statistics) → its outputs. Needed where the
   * program has dropout masks or running statistics; otherwise its forward graph serves.
   */
  readonly inference?: Graph | undefined
  /** Name for the caller → the program's output. Default `{ logits: … }` where there is one output, else names as they are. */
  readonly outputs?: { readonly [name: string]: string } | undefined
  /** What is done to each graph before ONNX Runtime gets it. Default nothing. */
  readonly lower?: ((graph: Graph) => Graph) | undefined
  /** Opset versions of the graphs. Default ai.onnx 17 and com.microsoft 1. */
  readonly opsets?: ReadonlyMap<string, number> | undefined
}

type Feeds = { [name: string]: OrtTensor }

/**
 * A student's forward and backward graphs as two sessions of ONNX Runtime.
 *
 * Parameters are fed by reference, so that an optimizer's change in place is what the next forward sees. Activations and
 * gradients lie in buffers that are made once for each batch shape (a few are kept: the full batch, the last ragged one);
 * what forward and pullback return are views of these.
 *
 * @throws FormatError, UnsupportedError where ONNX Runtime does not take a graph
 */
export async function openDifferentiable(
  program: VjpProgram,
  options: DifferentiableOptions = {},
): Promise<Differentiable> {
  const named = outputNames(program, options.outputs)
  const cotangentOf = new Map(Object.entries(program.cotangents))
  const shapes = new Map(program.parameters.map((name) => [name, parameterDims(program, name)]))
  const ort = await onnxruntime()
  const { lower = (graph) => graph } = options
  const open = async (what: string, graph: Graph): Promise<OrtSession> =>
    (await createEngine(ort, `the student's ${what} graph`, encodeGraph(lower(graph), options.opsets), options)).session
  const forwardSession = await open('forward', program.forward)
  const backwardSession = await open('backward', program.backward).catch(async (error: unknown) => {
    await forwardSession.release()
    throw error
  })
  let inferenceSession: OrtSession | undefined
  const feed = feeder(ort)
  const forwardNames = program.forward.outputs.map((output) => output.name)
  const gradientNames = [...new Set(Object.values(program.gradients))]
  const noisy = new Set(program.noise.map((input) => input.name))
  const buffersFor = batchBuffers()
  let generation = 0
  let disposed: Promise<void> | undefined
  let last: Promise<unknown> = Promise.resolve()

  const feedAll = (into: Feeds, graph: Graph, parameters: TensorMap, inputs: TensorMap): void => {
    for (const { name, shape } of graph.inputs) {
      if (noisy.has(name)) continue
      const value = inputs[name] ?? parameters[name]
      if (value === undefined)
        throw new ArgumentError('forward', shapes.has(name) ? 'parameters' : 'inputs', `given "${name}" too`, [
          ...Object.keys(inputs),
          ...Object.keys(parameters),
        ])
      checkFed(name, value, shape)
      into[name] = feed(value)
    }
  }

  const trainForward = async (
    parameters: TensorMap,
    inputs: TensorMap,
    options: ForwardOptions,
  ): Promise<ForwardResult> => {
    const buffers = buffersFor(program.inputs.map((name) => inputs[name]?.dims ?? []))
    feedAll(buffers.forwardFeeds, program.forward, parameters, inputs)
    drawNoise(program, inputs, options.rng, buffers, feed)
    const mine = ++generation
    await fill(forwardSession, 'forward', buffers.forwardFeeds, buffers.activations, forwardNames)
    const outputs = (buffers.outputs ??= tensorMap(
      named.map(([name, own]) => [name, plain(buffers.activations[own]!)]),
    ))
    let pulled = false
    return {
      outputs,
      updates: statisticUpdates(program, parameters, inputs, buffers),
      pullback(cotangents) {
        const stale =
          mine !== generation ? 'another forward has overwritten its activations' : pulled ? 'it ran before' : undefined
        if (stale !== undefined)
          return Promise.reject(
            new StateError(`pullback cannot run: ${stale}`, 'Call it once, before the next forward'),
          )
        pulled = true
        return inTurn(() => backward(buffers, cotangents))
      },
    }
  }

  const backward = async (buffers: BatchBuffers, cotangents: TensorMap): Promise<TensorMap> => {
    const feeds = buffers.backwardFeeds
    for (const { name } of program.backward.inputs) {
      const known = buffers.activations[name] ?? buffers.forwardFeeds[name]
      if (known !== undefined) feeds[name] = known
    }
    checkCotangents(named, cotangentOf, cotangents)
    for (const [name, own] of named) {
      const input = cotangentOf.get(own)
      if (input === undefined) continue
      const output = buffers.outputs![name]!
      // An output that the loss does not read.
      const value = cotangents[name] ?? (buffers.nothing[name] ??= zeros(output.type, output.dims))
      dims('pullback', { [name]: [value, output.dims.join(' '), output.type] })
      feeds[input] = feed(value)
    }
    await fill(backwardSession, 'backward', feeds, buffers.gradients, gradientNames)
    return (buffers.gradientMap ??= tensorMap(
      program.parameters.map((name) => [name, plain(buffers.gradients[program.gradients[name]!]!)]),
    ))
  }

  const inferenceForward = async (parameters: TensorMap, inputs: TensorMap): Promise<ForwardResult> => {
    const graph = options.inference
    if (graph === undefined && program.noise.length + program.statistics.length > 0)
      throw new UnsupportedError(
        'forward with train: false',
        'the student has dropout or running statistics, so its training graph does not tell; open it with the option "inference"',
      )
    inferenceSession ??= graph === undefined ? forwardSession : await open('inference', graph)
    const feeds: Feeds = {}
    feedAll(feeds, graph ?? program.forward, parameters, inputs)
    const results = await runSession(inferenceSession, 'inference', feeds, [...new Set(named.map(([, own]) => own))])
    return {
      outputs: tensorMap(named.map(([name, own]) => [name, plain(results[own]!)])),
      updates: tensorMap(),
      pullback: () =>
        Promise.reject(new StateError('pullback cannot run: forward ran with train: false', 'Leave "train" out')),
    }
  }

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    if (disposed) return Promise.reject(new StateError('the student is disposed', 'Open it again'))
    const run = last.then(work)
    last = run.catch(() => undefined)
    return run
  }

  return {
    parameters: Object.fromEntries(shapes),
    forward: (parameters, inputs, settings = {}) =>
      inTurn(() =>
        settings.train === false ? inferenceForward(parameters, inputs) : trainForward(parameters, inputs, settings),
      ),
    dispose() {
      disposed ??= last.then(async () => {
        await forwardSession.release()
        await backwardSession.release()
        if (inferenceSession !== forwardSession) await inferenceSession?.release()
      })
      return disposed
    },
  }
}

/**
 * Run into buffers. On the first run of a batch shape ONNX Runtime makes them; from then on it writes into them. (1.30 copies
 * every output into fresh memory as well, which is dropped here: the buffers are what keeps addresses and dims constant.)
 */
async function fill(
  session: OrtSession,
  what: string,
  feeds: Feeds,
  buffers: Feeds,
  names: readonly string[],
): Promise<void> {
  if (names.every((name) => buffers[name] !== undefined)) await runSession(session, what, feeds, buffers)
  else Object.assign(buffers, await runSession(session, what, feeds, names))
}

async function runSession(
  session: OrtSession,
  what: string,
  feeds: Feeds,
  fetches: Feeds | readonly string[],
): Promise<Feeds> {
  try {
    return await (Array.isArray(fetches) ? session.run(feeds, [...fetches]) : session.run(feeds, fetches as Feeds))
  } catch (cause) {
    throw new RuntimeError(`the student's ${what} graph does not run`, cause)
  }
}

function outputNames(
  program: VjpProgram,
  given: DifferentiableOptions['outputs'],
): (readonly [name: string, own: string])[] {
  const { outputs } = program
  const only = outputs.length === 1 ? { logits: outputs[0]! } : undefined
  const renamed = Object.entries(given ?? only ?? {})
  for (const [, own] of renamed)
    if (!outputs.includes(own))
      throw new NotFoundError(`the student has no output "${own}"`, `Its outputs are ${outputs.join(', ')}`)
  const rest = outputs.filter((own) => !renamed.some(([, used]) => used === own))
  return [...renamed, ...rest.map((own) => [own, own] as const)]
}

/** @throws ArgumentError where nothing would flow back, or something of another name */
function checkCotangents(
  named: readonly (readonly [name: string, own: string])[],
  cotangentOf: ReadonlyMap<string, string>,
  given: TensorMap,
): void {
  const wanted = named.filter(([, own]) => cotangentOf.has(own)).map(([name]) => name)
  const names = Object.keys(given)
  if (names.length === 0 || names.some((name) => !wanted.includes(name)))
    throw new ArgumentError('pullback', 'cotangents', `of some of ${wanted.join(', ')}, and no others`, names)
}

function parameterDims(program: VjpProgram, name: string): readonly number[] {
  const shape = program.forward.inputs.find((input) => input.name === name)?.shape
  if (shape === undefined || !shape.every((dim) => typeof dim === 'number'))
    throw new UnsupportedError(`parameter "${name}"`, 'its dims are not known numbers')
  return shape as readonly number[]
}

function checkFed(name: string, value: Tensor, shape: readonly Dim[] | undefined): void {
  const pattern = shape?.map((dim) => (typeof dim === 'number' ? dim : '_')).join(' ') ?? '...'
  dims('forward', { [name]: [value, pattern] })
}
