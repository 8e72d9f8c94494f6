import { vjp } from '@imago/autodiff'
import { blockConvolutions, type Graph, inferenceForm, liftWeights, type Model } from '@imago/onnx'
import { ArgumentError, type Predict, type TensorMap, tensorMap } from '@imago/tensor'
import { blockSize } from './adapt/block-size.js'
import { concatRows } from './concat-rows.js'
import type { Differentiable } from './differentiable.js'
import type { EngineOptions } from './engine.js'
import type { InputMap } from './input-map.js'
import { type ModelSource, resolveSource } from './model-source.js'
import { openDifferentiable } from './open-differentiable.js'
import { checkMaps, type Feeds, feedsFit, planFeeds, rowsOf } from './plan-feeds.js'
import { type PrepareOptions, prepareStudent } from './prepare-student.js'
import { withWeights } from './save-weights.js'
import type { Port } from './session.js'

export interface StudentOptions extends EngineOptions, PrepareOptions {
  /** How data become the model's inputs. */
  readonly map?: InputMap | readonly InputMap[] | undefined
}

/** A model that can be trained. */
export interface Student {
  /** The weights, and running statistics, by their names in the file: float32 copies, the caller's to change in place. */
  readonly parameters: TensorMap
  /** forward(parameters, inputs) → `logits` [N, C] and what `also` names, and the way back. */
  readonly differentiable: Differentiable
  /** What was found and done to the model for training, one sentence each. */
  readonly notes: readonly string[]
  /** The model given with new weights, and nothing else changed: a softmax at its end is in it still. */
  save(parameters: TensorMap): Model
  /** Inference with these parameters as they are at each call: inputs → `logits`, 256 rows at a time. */
  predict(parameters: TensorMap): Predict
  /** Idempotent. */
  dispose(): Promise<void>
}

/**
 * Open a model for training: its logits are found (a softmax or sigmoid at its end is left out), its weights become inputs, and
 * its forward graph gets a backward one.
 *
 * @throws UnsupportedError naming the node that has no gradient; FormatError, NotFoundError as `open` does
 */
export async function openStudent(source: ModelSource, options: StudentOptions = {}): Promise<Student> {
  const resolved = await resolveSource('openStudent', source)
  const { model, graph, opsets, output, also, notes, names, form } = prepareStudent(
    resolved.model,
    options,
    isCpu(options.provider) ? 'cpu' : 'portable',
  )
  const program = vjp(form.graph, { ...form, wrt: names, seeds: [output, ...also] })
  const fed = [...names, ...form.statistics.map((statistic) => statistic.parameter)]
  const lifted = liftWeights(inferenceForm(graph), fed)
  const block = isCpu(options.provider) && hasConvolutions(graph) ? await blockSize() : undefined
  const ports = portsOf(graph)
  checkMaps(ports, options.map)
  const inner = await openDifferentiable(program, {
    ...options,
    inference: lifted.graph,
    outputs: { logits: output },
    opsets,
    ...(block !== undefined && { lower: (one: Graph) => blockConvolutions(one, { block }) }),
  })
  const differentiable = mapped(inner, ports, options.map)
  const all = new Set(fed)

  return {
    parameters: lifted.parameters,
    differentiable,
    notes,
    save(parameters) {
      const unknown = Object.keys(parameters).find((name) => !all.has(name))
      if (unknown !== undefined) throw new ArgumentError('save', 'parameters', 'those of this student', unknown)
      return withWeights(model, parameters)
    },
    predict: (parameters) => batched(differentiable, parameters),
    dispose: () => inner.dispose(),
  }
}

function hasConvolutions({ nodes }: Graph): boolean {
  return nodes.some(({ op, domain }) => op === 'Conv' && domain === '')
}

/** Ops of com.microsoft are for the processor; another provider may lack them. */
function isCpu(provider: StudentOptions['provider']): boolean {
  return [provider ?? 'cpu'].flat().every((name) => name === 'cpu')
}

/** The data set's tensors as the student's inputs. */
function mapped(inner: Differentiable, ports: readonly Port[], map: StudentOptions['map']): Differentiable {
  let feeds: Feeds | undefined
  return {
    parameters: inner.parameters,
    async forward(parameters, inputs, options) {
      const rows = rowsOf(inputs)
      if (feeds === undefined || !feedsFit(feeds, inputs)) feeds = planFeeds(ports, map, inputs).feeds
      const fed = tensorMap(feeds.map(([port, name, feed]) => [port, feed(inputs[name]!, 0, rows, rows)] as const))
      return inner.forward(parameters, fed, options)
    },
    dispose: () => inner.dispose(),
  }
}

function portsOf(graph: Graph): Port[] {
  return graph.inputs.map(({ name, type, shape }) => ({ name, ...(type && { type }), ...(shape && { dims: shape }) }))
}

function batched(student: Differentiable, parameters: TensorMap): Predict {
  const size = 256
  return async (inputs, signal) => {
    const rows = rowsOf(inputs)
    const parts: TensorMap[] = []
    for (let from = 0; from < rows; from += size) {
      signal?.throwIfAborted()
      const to = Math.min(from + size, rows)
      const part = tensorMap(
        Object.entries(inputs).map(([name, value]) => {
          const row = value.data.length / rows
          const data = (value.data as Float32Array).subarray(from * row, to * row)
          return [name, { ...value, dims: [to - from, ...value.dims.slice(1)], data }] as const
        }),
      )
      parts.push((await student.forward(parameters, part, { train: false })).outputs)
    }
    return concatRows(parts)
  }
}
