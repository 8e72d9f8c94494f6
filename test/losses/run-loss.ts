import { valueAndGradients } from '@imago/autodiff'
import type { LossGraph } from '@imago/losses'
import { type Tensor, type TensorMap, tensor } from '@imago/tensor'
import { runner } from '../gradcheck/run-graph.js'

export interface Run {
  readonly value: number
  /** By input: `student/…`, `parameter/…`. */
  readonly gradients: { readonly [input: string]: number[] }
  readonly outputs: TensorMap
}

/** A loss's graph in the type that it was built in: fed by input name, differentiated. */
export async function openGraph(
  loss: LossGraph,
): Promise<{ run(feeds: TensorMap): Promise<Run>; release(): Promise<void> }> {
  const { graph } = loss
  const wrt = graph.inputs.map(({ name }) => name).filter((name) => /^(student|parameter)\//.test(name))
  const value = graph.outputs[0]!.name
  const joint = valueAndGradients(graph, { wrt, value })
  const session = await runner(joint.graph)
  return {
    async run(feeds) {
      const outputs = await session.run(feeds)
      const numbers = (name: string): number[] => [...(outputs[name]!.data as Float64Array)]
      return {
        value: numbers(value)[0]!,
        gradients: Object.fromEntries(wrt.map((name) => [name, numbers(joint.gradients[name]!)])),
        outputs,
      }
    },
    release: () => session.release(),
  }
}

export function f64(dims: readonly number[], data: readonly number[]): Tensor<'float64'> {
  return tensor('float64', dims, Float64Array.from(data))
}

export function ones(dims: readonly number[]): Tensor<'float64'> {
  return f64(dims, new Array(dims.reduce((a, b) => a * b, 1)).fill(1))
}
