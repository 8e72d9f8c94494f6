import { intAttribute, intsAttribute } from '../attributes.js'
import type { Graph, Node } from '../ir.js'

/** `rows`: a unit's incoming weights are one index of the first axis; `columns`: one index of the second. */
export type IncomingAxis = 'rows' | 'columns'

/**
 * Over which axis a unit's incoming weights lie, for each initializer or input that is a weight of Gemm, MatMul, FusedMatMul,
 * Conv or ConvTranspose, directly or through Identity and Transpose: what max-norm (arXiv 1207.0580 §A.1) and pruning of units need.
 * A weight that is used both ways is left out.
 */
export function incomingAxes(graph: Graph): { readonly [weight: string]: IncomingAxis } {
  const sources = new Map<string, Source>()
  for (const input of graph.inputs) sources.set(input.name, { name: input.name, turned: false })
  for (const name of graph.initializers.keys()) sources.set(name, { name, turned: false })
  const activations = inputDependent(graph)
  const found = new Map<string, IncomingAxis | undefined>()
  for (const node of graph.nodes) {
    follow(node, sources)
    for (const [input, axis] of weightsOf(node)) {
      const source = sources.get(node.inputs[input] ?? '')
      if (source === undefined || activations.has(source.name)) continue
      const own = source.turned ? (axis === 'rows' ? 'columns' : 'rows') : axis
      found.set(source.name, found.has(source.name) && found.get(source.name) !== own ? undefined : own)
    }
  }
  const axes: { [weight: string]: IncomingAxis } = Object.create(null)
  for (const [name, axis] of found) if (axis !== undefined) axes[name] = axis
  return axes
}

interface Source {
  readonly name: string
  readonly turned: boolean
}

/** Graph inputs with a symbolic or unknown size are data, not weights that were lifted. */
function inputDependent(graph: Graph): Set<string> {
  const data = graph.inputs.filter((input) => input.shape?.every((dim) => typeof dim === 'number') !== true)
  return new Set(data.map((input) => input.name))
}

function follow(node: Node, sources: Map<string, Source>): void {
  const source = sources.get(node.inputs[0] ?? '')
  const output = node.outputs[0]
  if (source === undefined || output === undefined || node.domain !== '') return
  if (node.op === 'Identity') sources.set(output, source)
  const order = node.op === 'Transpose' ? intsAttribute(node, 'perm', [1, 0]) : []
  if (order.length === 2 && order[0] === 1) sources.set(output, { ...source, turned: !source.turned })
}

/** Inputs that can be weights, and how a unit lies in each. */
function weightsOf(node: Node): [input: number, axis: IncomingAxis][] {
  const flag = (name: string): boolean => intAttribute(node, name, 0) !== 0
  const key = node.domain === '' ? node.op : `${node.domain}.${node.op}`
  switch (key) {
    case 'Gemm':
    case 'com.microsoft.FusedMatMul':
      return [
        [0, flag('transA') ? 'columns' : 'rows'],
        [1, flag('transB') ? 'rows' : 'columns'],
      ]
    case 'MatMul':
      return [
        [0, 'rows'],
        [1, 'columns'],
      ]
    case 'Conv':
      return [[1, 'rows']]
    case 'ConvTranspose':
      return [[1, 'columns']]
    default:
      return []
  }
}
