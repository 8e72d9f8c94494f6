import { constantOf, type Graph, type Node, type ValueInfo } from '@imago/onnx'
import { NotFoundError, tensor, UnsupportedError } from '@imago/tensor'
import { vjp } from './vjp.js'

export interface ValueAndGradientsOptions {
  /** Names of inputs or initializers to differentiate with respect to. Initializers among them become inputs. */
  readonly wrt: readonly string[]
  /** The output to differentiate: one number, float32 or float64. */
  readonly value: string
}

/** One graph that says a value and how it changes. */
export interface ValueAndGradients {
  /** The graph given, with one output more for each name in `wrt`. */
  readonly graph: Graph
  /** Name in `wrt` → the output that holds d value / d name, of its shape. */
  readonly gradients: { readonly [name: string]: string }
}

/**
 * A graph whose output `value` is one number, with its gradients beside it: forward and backward as one graph, so that nothing
 * is fetched in between. For losses that are graphs.
 *
 * @throws NotFoundError, UnsupportedError as `vjp` does, and where `value` is not one number
 */
export function valueAndGradients(graph: Graph, options: ValueAndGradientsOptions): ValueAndGradients {
  const { wrt, value } = options
  const { forward, backward, gradients, cotangents } = vjp(graph, { wrt, seeds: [value] })
  const seed = backward.inputs.find((input) => input.name === cotangents[value])
  if (seed?.shape?.length !== 0)
    throw new UnsupportedError(`output "${value}"`, `it is [${seed?.shape?.join(', ')}] and not one number`)
  const one =
    seed.type === 'float64' ? tensor('float64', [], Float64Array.of(1)) : tensor('float32', [], Float32Array.of(1))

  // Forward nodes that backward would run again are there already; other names that both have are two values.
  const made = new Set(forward.nodes.flatMap((node) => node.outputs))
  const known = new Set(forward.nodes.map(key))
  const own = backward.nodes.filter((node) => !known.has(key(node)))
  const renamed = new Map<string, string>()
  for (const name of [...own.flatMap((node) => node.outputs), ...backward.initializers.keys()])
    if (made.has(name) || differs(name, forward, backward)) renamed.set(name, `backward:${name}`)
  const rename = (name: string): string => renamed.get(name) ?? name
  const nodes = own.map(
    (node): Node => ({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) }),
  )
  const constants = [...backward.initializers].map(
    ([name, constant]) => [rename(name), { ...constant, name: rename(name) }] as const,
  )
  const outputs = Object.entries(gradients).map(([name, output]) => describe(backward.outputs, name, output))
  return {
    graph: {
      ...forward,
      name: graph.name,
      nodes: [...forward.nodes, ...nodes],
      outputs: [...graph.outputs, ...outputs],
      initializers: new Map([...forward.initializers, ...constants, [seed.name, constantOf(seed.name, one)]]),
    },
    gradients,
  }
}

function key(node: Node): string {
  return JSON.stringify([node.op, node.inputs, node.outputs])
}

function differs(name: string, forward: Graph, backward: Graph): boolean {
  const [here, there] = [forward.initializers.get(name), backward.initializers.get(name)]
  return here !== undefined && here !== there
}

function describe(outputs: readonly ValueInfo[], name: string, output: string): ValueInfo {
  const found = outputs.find((one) => one.name === output)
  if (found === undefined) throw new NotFoundError(`there is no gradient of "${name}"`, 'Name it in "wrt"')
  return found
}
