import { tensor } from '@imago/tensor'
import { constantOf, tensorOf } from '../constant-tensor.js'
import type { ConstantTensor, Graph, Node } from '../ir.js'
import { namesOf, uniqueIn } from '../opset/rewriter.js'

/**
 * Dropout that an exporter spelled out as Dropout again: torch.export writes the one that drops whole channels (Dropout2d) as
 * (uniform < q) / q with numbers drawn in the graph, which no seed repeats and which goes on at inference. The mask becomes a
 * Dropout of ones, of the same shape and probability.
 *
 * Run `foldConstants` first: q has to be constant.
 */
export function drawnDropout(graph: Graph): Graph {
  if (!graph.nodes.some((node) => node.op === 'RandomUniformLike')) return graph
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const names = namesOf(graph)
  const initializers = new Map(graph.initializers)
  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    const drawn = drawnBy(node, makers, graph.initializers)
    if (drawn === undefined) return [node]
    const constant = (hint: string, type: 'float32' | 'bool', data: Float32Array | Uint8Array): string => {
      const name = uniqueIn(names, hint)
      initializers.set(name, constantOf(name, tensor(type, [], data as never)))
      return name
    }
    const output = node.outputs[0]!
    const [size, ones] = ['size', 'ones'].map((hint) => uniqueIn(names, `${output}.${hint}`)) as [string, string]
    const one: ConstantTensor = { name: '', type: 'float32', dims: [1], values: Float32Array.of(1) }
    const ratio = constant(`${output}.ratio`, 'float32', Float32Array.of(1 - drawn.kept))
    const training = constant(`${output}.training`, 'bool', Uint8Array.of(1))
    return [
      made('', 'Shape', [drawn.like], size),
      {
        ...made('', 'ConstantOfShape', [size], ones),
        attributes: new Map([['value', { kind: 'tensor', value: one }]]),
      },
      made(node.name, 'Dropout', [ones, ratio, training], output),
    ]
  })
  return { ...graph, nodes, initializers }
}

/** What has the shape of the mask, and the share that is kept. */
function drawnBy(
  node: Node,
  makers: ReadonlyMap<string, Node>,
  initializers: ReadonlyMap<string, ConstantTensor>,
): { readonly like: string; readonly kept: number } | undefined {
  if (node.op !== 'Div' || node.domain !== '') return undefined
  let inner = makers.get(node.inputs[0] ?? '')
  while (inner?.op === 'Cast' || inner?.op === 'CastLike') inner = makers.get(inner.inputs[0] ?? '')
  const [random = '', limit = ''] = inner?.op === 'Less' ? inner.inputs : []
  const kept = numberIn(node.inputs[1] ?? '', makers, initializers)
  if (kept === undefined || kept !== numberIn(limit, makers, initializers)) return undefined
  const source = makers.get(random)
  const like = source?.op === 'RandomUniformLike' ? source.inputs[0] : undefined
  return like !== undefined && kept > 0 && kept <= 1 ? { like, kept } : undefined
}

/** A single constant, through casts that keep it. */
function numberIn(
  name: string,
  makers: ReadonlyMap<string, Node>,
  initializers: ReadonlyMap<string, ConstantTensor>,
): number | undefined {
  const maker = makers.get(name)
  if (maker?.op === 'Cast' || maker?.op === 'CastLike') return numberIn(maker.inputs[0] ?? '', makers, initializers)
  const constant = initializers.get(name)
  if (constant === undefined || constant.external !== undefined) return undefined
  const { data } = tensorOf(constant)
  return data.length === 1 ? Number(data[0]) : undefined
}

function made(name: string, op: string, inputs: readonly string[], output: string): Node {
  return { name, op, domain: '', inputs, outputs: [output], attributes: new Map() }
}
