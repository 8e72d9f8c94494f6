import { tensor } from '@imago/tensor'
import type { GradcheckCase } from '../case.js'

type Build = GradcheckCase['build']
const x = { x: ['N', 3, 4] } as const

function row(op: string, title: string, build: Build, inputs: GradcheckCase['inputs'] = x): GradcheckCase {
  return { ops: [op], title, inputs, build }
}

function slice(title: string, ...numbers: readonly (readonly number[])[]): GradcheckCase {
  return row('Slice', title, (b) => b.op('Slice', ['x', ...numbers.map((values) => b.ints(values))]))
}

function indices(values: readonly number[], dims: readonly number[] = [values.length]) {
  return tensor('int64', dims, BigInt64Array.from(values, BigInt))
}

function gather(title: string, values: readonly number[], dims: readonly number[], axis: number): GradcheckCase {
  return row('Gather', title, (b) => b.op('Gather', ['x', b.constant(indices(values, dims))], { axis }), {
    x: [5, 3, 4],
  })
}

const wide = Number.MAX_SAFE_INTEGER

export const shape: readonly GradcheckCase[] = [
  row('Identity', '', (b) => b.op('Identity', ['x'])),
  row('Reshape', 'an inferred size', (b) => b.op('Reshape', ['x', b.ints([-1, 12])])),
  row('Reshape', 'the batch folded into a product', (b) => b.op('Reshape', ['x', b.ints([-1, 4])])),
  row('Reshape', 'a copied size', (b) => b.op('Reshape', ['x', b.ints([0, 4, -1])])),
  row('Reshape', 'a computed shape', (b) => {
    const batch = b.op('Shape', ['x'], { start: 0, end: 1 })
    return b.op('Reshape', ['x', b.op('Concat', [batch, b.ints([2, 6])], { axis: 0 })])
  }),
  ...[0, 1, 2, -1].map((axis) => row('Flatten', `axis ${axis}`, (b) => b.op('Flatten', ['x'], { axis }))),
  row('Squeeze', 'one axis', (b) => b.op('Squeeze', ['x', b.ints([-2])]), { x: ['N', 1, 4] }),
  row('Unsqueeze', 'two axes', (b) => b.op('Unsqueeze', ['x', b.ints([0, -1])])),
  row('Transpose', 'reversed by default', (b) => b.op('Transpose', ['x'])),
  row('Transpose', 'a cycle', (b) => b.op('Transpose', ['x'], { perm: [2, 0, 1] })),
  row(
    'Concat',
    'three parts, one not trained',
    (b, type) => {
      const still = b.op('Mul', [b.op('Floor', ['x']), b.scalar(0.5, type)])
      return b.op('Concat', ['x', still, 'z'], { axis: -1 })
    },
    { x: ['N', 3], z: ['N', 2] },
  ),
  row('Concat', 'along the batch', (b) => b.op('Concat', ['x', 'z'], { axis: 0 }), { x: ['N', 3], z: [2, 3] }),
  row('Concat', 'one part', (b) => b.op('Concat', ['x'], { axis: 1 })),
  row('Split', 'equal parts', (b) => b.ops('Split', ['x'], { axis: 1 }, { outputs: 3 })),
  row('Split', 'given parts, one of them unused', (b) => {
    const [first] = b.ops('Split', ['x', b.ints([1, 3])], { axis: -1 }, { outputs: 2 })
    return b.op('Exp', [first!])
  }),
  slice('starts and ends', [0, 1], [wide, 3]),
  slice('negative', [-3], [-1], [2]),
  slice('past the end', [1], [wide], [-1]),
  slice('nothing left', [3], [1], [1]),
  slice('steps', [0], [4], [2], [2]),
  slice('backwards', [3], [-wide], [2], [-1]),
  slice('of the batch', [0], [1], [0]),
  row('Slice', 'of the batch, all but the last', (b) => b.op('Slice', ['x', b.ints([0]), b.ints([-1]), b.ints([0])])),
  gather('a vector of indices with repeats, axis 0', [0, 3, 3, -1], [4], 0),
  gather('a matrix of indices, axis 0', [0, 3, 3, 1], [2, 2], 0),
  gather('a scalar index', [2], [], 0),
  gather('a middle axis', [2, 0, 2], [3], 1),
  gather('a matrix on the last axis', [3, 0, 3, 1], [2, 2], -1),
  row('Gather', 'a vector', (b) => b.op('Gather', ['x', b.constant(indices([1, 1]))]), { x: [4] }),
  row('Gather', 'an open batch', (b) => b.op('Gather', ['x', b.constant(indices([0, 0]))])),
  row(
    'GatherElements',
    'repeats',
    (b) => b.op('GatherElements', ['x', b.constant(indices([0, 1, 1, 1], [2, 2]))], { axis: 1 }),
    { x: [2, 3] },
  ),
  {
    ops: ['GatherND'],
    title: 'rows',
    inputs: { x: [3, 2, 4] },
    output: [3, 4],
    build: (b) => b.op('GatherND', ['x', b.constant(indices([0, 1, 2, 0, 0, 1], [3, 2]))]),
  },
  row('Expand', 'new and stretched axes', (b) => b.op('Expand', ['x', b.ints([2, 1, 3, 4])]), { x: ['N', 1, 4] }),
  row('Expand', 'a scalar', (b) => b.op('Expand', ['x', b.ints([2, 3])]), { x: [] }),
  row('Tile', '', (b) => b.op('Tile', ['x', b.ints([2, 1, 3])])),
  row('Pad', 'zeros', (b) => b.op('Pad', ['x', b.ints([0, 1, 0, 0, 0, 2])])),
  row('Pad', 'a constant, and cropped', (b, type) =>
    b.op('Pad', ['x', b.ints([0, 1, -1, 0, -1, 2]), b.scalar(3, type)]),
  ),
  row('Pad', 'a trained fill', (b) => b.op('Pad', ['x', b.ints([0, 1, 0, 0, 0, -2]), 'c']), { x: ['N', 3, 4], c: [] }),
  row('Pad', 'a trained fill alone', (b) => b.op('Pad', [b.op('Floor', ['x']), b.ints([1, 1]), 'c']), {
    x: [3],
    c: [],
  }),
  row('Pad', 'reflected', (b) => b.op('Pad', ['x', b.ints([0, 1, 2, 0, 0, 1])], { mode: 'reflect' })),
  row('Pad', 'the edge', (b) => b.op('Pad', ['x', b.ints([0, 1, 2, 0, 0, 1])], { mode: 'edge' })),
  row('CastLike', 'another value', (b) => b.op('Mul', [b.op('CastLike', ['x', 'z']), 'z']), {
    x: ['N', 2],
    z: ['N', 2],
  }),
  row('Cast', 'to float32 and back', (b) => b.op('Exp', [b.op('Cast', ['x'], { to: 11 })])),
  {
    ...row('TopK', 'the two largest', (b) => b.ops('TopK', ['x', b.ints([2])], {}, { outputs: 2 })[0]!),
    values: 'distinct',
  },
  row('Trilu', 'the lower triangle', (b) =>
    b.op('Trilu', ['x', b.constant(tensor('int64', [], BigInt64Array.of(1n)))], { upper: 0 }),
  ),
  row('Trilu', 'the upper triangle', (b) => b.op('Trilu', ['x'])),
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].map((reverse) =>
      row('CumSum', `exclusive ${exclusive}, reverse ${reverse}`, (b) =>
        b.op('CumSum', ['x', b.constant(tensor('int64', [], BigInt64Array.of(1n)))], { exclusive, reverse }),
      ),
    ),
  ),
  ...['DCR', 'CRD'].map((mode) =>
    row('DepthToSpace', mode, (b) => b.op('DepthToSpace', ['x'], { blocksize: 2, mode }), { x: ['N', 12, 2, 3] }),
  ),
  {
    ops: ['SpaceToDepth'],
    title: 'blocks of 2',
    inputs: { x: ['N', 3, 4, 6] },
    output: ['N', 12, 2, 3],
    build: (b) => b.op('SpaceToDepth', ['x'], { blocksize: 2 }),
  },
  row(
    'Floor',
    'stops what flows',
    (b) => b.op('Add', ['x', b.op('Mul', [b.op('Floor', ['c']), b.op('Sign', ['c'])])]),
    { x: ['N', 2], c: ['N', 2] },
  ),
]
