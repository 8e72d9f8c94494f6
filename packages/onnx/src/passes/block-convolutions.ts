import { tensor } from '@imago/tensor'
import { attribute, intAttribute } from '../attributes.js'
import { constantOf } from '../constant-tensor.js'
import { inferShapes } from '../infer-shapes.js'
import type { ConstantTensor, Graph, Node, ValueInfo } from '../ir.js'
import { type Names, namesOf, uniqueIn } from '../opset/rewriter.js'
import { mapGraphs, subgraphs } from './node-names.js'

/** ONNX Runtime's own domain for tensors whose channels lie in blocks; its CPU provider alone has it, and promises nothing. */
export const blockedDomain = 'com.microsoft.nchwc'

export interface BlockOptions {
  /** Channels in a block: what this processor's kernels take. */
  readonly block: number
}

/** A convolution as the table of what pays sees it. */
interface Shape {
  readonly out: number
  readonly perGroup: number
  readonly group: number
  readonly kernel: readonly number[]
  /** Pixels of one result, where known. */
  readonly pixels: number | undefined
}

interface Row {
  readonly applies: (shape: Shape) => boolean
  readonly blocks: boolean
  /** Time of the blocked form, reorders included, over that of Conv with weights that are fed (ONNX Runtime 1.30, one thread, AVX-512). */
  readonly measured: string
}

/** The first row that applies decides. */
const table: readonly Row[] = [
  {
    applies: ({ group, out, perGroup }) => group > 1 && group === out && perGroup === 1,
    blocks: true,
    measured:
      '0.04 (960 × 2²), 0.06 (576 × 4²), 0.10 (192 × 8²), 0.19 (144 × 16²), 0.35 (32 × 32²), 0.55 (96 × 32², stride 2)',
  },
  {
    applies: ({ group, kernel, pixels }) =>
      group === 1 && kernel.some((size) => size > 1) && pixels !== undefined && pixels >= 256,
    blocks: true,
    measured: '3 × 3: 0.77 (64 → 64, 32²), 0.84 (128 → 128, 16²), 0.82 (64 → 128, stride 2, 16²)',
  },
  {
    applies: () => true,
    blocks: false,
    measured: '0.98 (256 → 256, 8²), 1.34 (512 → 512, 2²), 1.09 (128 → 256, stride 2, 8²), 0.91 to 1.74 (1 × 1)',
  },
]

/**
 * Two-dimensional convolutions whose weights are fed, in ONNX Runtime's blocked layout where that pays. It blocks convolutions itself, but
 * only those of constant weights, which a student's are not. Weights are put into blocks by nodes. Channels that the block does
 * not divide stay as they are.
 *
 * The graph then runs on ONNX Runtime's CPU provider alone, on processors of this block; whoever asks has tried both (`blockSize` of the runtime).
 */
export function blockConvolutions(graph: Graph, options: BlockOptions): Graph {
  return blocked(graph, options.block, namesOf(graph))
}

function blocked(graph: Graph, block: number, names: Names): Graph {
  if (!graph.nodes.some((node) => node.op === 'Conv' || subgraphs(node).length > 0)) return graph
  const shapes = inferShapes(graph)
  const initializers = new Map(graph.initializers)
  const reordered = new Map<string, string>()
  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    if (subgraphs(node).length > 0) {
      const inner = (body: Graph): Graph => {
        for (const name of namesOf(body).taken) names.taken.add(name)
        return blocked(body, block, names)
      }
      return [{ ...node, attributes: mapGraphs(node, inner) }]
    }
    const shape = shapeOf(node, shapes, block)
    if (shape === undefined || !table.find(({ applies }) => applies(shape))!.blocks) return [node]
    return inBlocks(node, shape, { block, names, initializers, reordered })
  })
  return { ...graph, nodes, initializers }
}

/** Undefined for what the blocked kernels do not take. */
function shapeOf(node: Node, shapes: ReadonlyMap<string, ValueInfo>, block: number): Shape | undefined {
  if (node.op !== 'Conv' || node.domain !== '') return undefined
  const [x = '', w = ''] = node.inputs
  const weight = shapes.get(w)?.shape
  if (weight?.length !== 4 || !weight.every((dim) => typeof dim === 'number')) return undefined
  if ((shapes.get(w)?.type ?? 'float32') !== 'float32' || (shapes.get(x)?.type ?? 'float32') !== 'float32')
    return undefined
  const [out = 0, perGroup = 0, ...kernel] = weight as readonly number[]
  const group = intAttribute(node, 'group', 1)
  const isDepthwise = group > 1
  if (
    out % block !== 0 ||
    (!isDepthwise && perGroup % block !== 0) ||
    (isDepthwise && (group !== out || perGroup !== 1))
  )
    return undefined
  const sizes = shapes.get(node.outputs[0] ?? '')?.shape?.slice(2)
  const known = sizes?.every((size) => typeof size === 'number')
  const pixels = known ? (sizes as number[]).reduce((product, size) => product * size, 1) : undefined
  return { out, perGroup, group, kernel, pixels }
}

interface Site {
  readonly block: number
  readonly names: Names
  readonly initializers: Map<string, ConstantTensor>
  /** Values that were put into blocks before. */
  readonly reordered: Map<string, string>
}

function inBlocks(node: Node, { out, perGroup, group, kernel }: Shape, site: Site): Node[] {
  const { block, names, initializers, reordered } = site
  const [x = '', w = '', bias = ''] = node.inputs
  const ints = (values: readonly number[]): string => {
    const name = uniqueIn(names, `sizes ${values.join(' ')}`)
    initializers.set(name, constantOf(name, tensor('int64', [values.length], BigInt64Array.from(values, BigInt))))
    return name
  }
  const nodes: Node[] = []
  const make = (
    op: string,
    inputs: readonly string[],
    attributes: Node['attributes'],
    domain = '',
    made?: string,
  ): string => {
    const output = made ?? uniqueIn(names, `${node.outputs[0]}.${op}`)
    nodes.push({ name: '', op, domain, inputs, outputs: [output], attributes })
    return output
  }
  const none = new Map()
  // Depthwise [C/b, k, b]; else [O/b, I/b, k, k, b of I, b of O]. The dims that are stated stay those of the plain weights.
  const [split, perm] =
    group > 1
      ? [
          [out / block, block, kernel[0]! * kernel[1]!],
          [0, 2, 1],
        ]
      : [
          [out / block, block, perGroup / block, block, ...kernel],
          [0, 2, 4, 5, 3, 1],
        ]
  const turned = make('Transpose', [make('Reshape', [w, ints(split)], none)], new Map([['perm', attribute(perm)]]))
  const weight = make('Reshape', [turned, ints([out, perGroup, ...kernel])], none)
  const image = reordered.get(x) ?? make('ReorderInput', [x], none, blockedDomain)
  reordered.set(x, image)
  const attributes = new Map([...node.attributes, ['kernel_shape', attribute(kernel)], ['group', attribute(group)]])
  const inputs = [image, weight, ...(bias === '' ? [] : [bias])]
  const result = make('Conv', inputs, attributes as Node['attributes'], blockedDomain)
  make('ReorderOutput', [result], new Map([['channels', attribute(out)]]), blockedDomain, node.outputs[0]!)
  return nodes
}
