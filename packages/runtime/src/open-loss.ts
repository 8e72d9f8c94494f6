import { valueAndGradients } from '@imago/autodiff'
import { fromFloat16 } from '@imago/kernels'
import type { DeferredLoss, LossGraph, LossResult } from '@imago/losses'
import {
  describe,
  FormatError,
  isType,
  NotFoundError,
  StateError,
  type Tensor,
  type TensorMap,
  tensor,
  tensorMap,
} from '@imago/tensor'
import type { EngineOptions } from './engine.js'
import { encodeGraph } from './model-source.js'
import { openLoadable } from './session.js'

/** A loss that is open: `dispose` ends its session. */
export interface OpenLoss extends DeferredLoss {
  /** Idempotent. */
  dispose(): Promise<void>
}

/** What an input of a loss's graph is, and its name there. */
interface Source {
  readonly input: string
  readonly from: 'student' | 'target' | 'parameter' | 'memory' | 'drawn' | 'weights'
  readonly name: string
}

/**
 * A loss written as a graph, differentiated by @imago/autodiff with respect to the student's tensors and its own parameters, as one
 * session that gives value and gradients together. Its parameters are the caller's to change in place, as a student's are.
 *
 * @throws UnsupportedError for an op that has no gradient, FormatError for inputs that are not told by their names
 */
export async function openLoss(loss: LossGraph, options: EngineOptions = {}): Promise<OpenLoss> {
  const { graph, parameters, memory, weights = 'weights' } = loss
  const sources = graph.inputs.map(({ name }) => sourceOf(name))
  const of = (from: Source['from']): Source[] => sources.filter((one) => one.from === from)
  const [students, own] = [of('student'), of('parameter')]
  const [value, ...others] = graph.outputs.map(({ name }) => name)
  if (value === undefined || students.length === 0)
    throw new FormatError('openLoss', 'the graph has no output, or no input student/<tensor>')
  const wrt = [...students, ...own].map(({ input }) => input)
  const joint = valueAndGradients(graph, { wrt, value })
  const kept = memory?.outputs ?? []
  const parts = others.filter((name) => !kept.includes(name))
  const session = await openLoadable("the loss's graph", encodeGraph(joint.graph), options)
  const needs = {
    student: students.map(({ name }) => name),
    targets: [...new Set([...of('target').map(({ name }) => name), ...(memory?.targets ?? [])])],
  }

  const evaluate: DeferredLoss['evaluate'] = async (student, targets, given = parameters, at) => {
    const drawn = memory?.draw(targets, at) ?? {}
    const maps = { student, target: targets, parameter: given, memory: memory?.tensors ?? {}, drawn }
    const feeds = tensorMap(
      sources.map((source) => [
        source.input,
        source.from === 'weights'
          ? weightsOf(targets[weights], find('student', students[0]!.name, student), graph.inputs)
          : float32(find(source.from, source.name, maps[source.from])),
      ]),
    )
    let results = await session.run(feeds)
    if (memory?.begin?.(results)) results = await session.run(feeds)
    const gradientsOf = (list: readonly Source[]): TensorMap =>
      tensorMap(list.map(({ input, name }) => [name, results[joint.gradients[input]!]!]))
    const number = (name: string): number => (results[name]!.data as Float32Array)[0]!
    const result: LossResult = {
      value: number(value),
      parts: Object.fromEntries((parts.length > 0 ? parts : [value]).map((name) => [name, number(name)])),
      cotangents: gradientsOf(students),
      ...(own.length > 0 && { gradients: gradientsOf(own) }),
      ...(memory && { keep: () => memory.keep(results, targets) }),
    }
    return result
  }
  return {
    needs,
    ...(own.length > 0 && { parameters }),
    ...(memory && { memory: memory.tensors }),
    evaluate,
    dispose: () => session.dispose(),
  }
}

function sourceOf(input: string): Source {
  if (input === 'weights') return { input, from: 'weights', name: input }
  const [, from, name] = /^(student|target|parameter|memory|drawn)\/(.+)$/s.exec(input) ?? []
  if (from === undefined || name === undefined)
    throw new FormatError(
      'openLoss',
      `input ${describe(input)} is neither student/…, target/…, parameter/…, memory/…, drawn/… nor weights`,
    )
  return { input, from: from as Source['from'], name }
}

function find(from: string, name: string, map: TensorMap): Tensor {
  const value = map[name]
  if (value !== undefined) return value
  throw new NotFoundError(
    `the loss finds no ${from} ${describe(name)}`,
    `There is: ${Object.keys(map).join(', ') || 'nothing'}`,
  )
}

/** Teachers may give half precision. */
function float32(value: Tensor): Tensor {
  if (isType(value, 'float16')) return fromFloat16({ x: value })
  return isType(value, 'float64') ? tensor('float32', value.dims, Float32Array.from(value.data)) : value
}

/** A mask of whole numbers, or of truth, as weights. */
function plain({ dims, data }: Tensor): Tensor {
  return tensor('float32', dims, Float32Array.from(data as ArrayLike<number | bigint>, Number))
}

/** The weights that are given, or 1 for each row (each position of a sequence). */
function weightsOf(given: Tensor | undefined, like: Tensor, inputs: LossGraph['graph']['inputs']): Tensor {
  if (given !== undefined) return /^float/.test(given.type) ? float32(given) : plain(given)
  const rank = inputs.find(({ name }) => name === 'weights')?.shape?.length
  if (rank === undefined) throw new StateError('the rank of the input weights is not known', 'Give its shape')
  const dims = like.dims.slice(0, rank)
  return tensor('float32', dims, new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(1))
}
