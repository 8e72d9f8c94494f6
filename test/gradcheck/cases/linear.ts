import { float } from '@imago/onnx'
import type { GradcheckCase } from '../case.js'

const gemms: GradcheckCase[] = [0, 1].flatMap((transA) =>
  [0, 1].map((transB) => ({
    ops: ['Gemm'],
    title: `transA ${transA}, transB ${transB}, alpha, beta, bias of a row`,
    inputs: { A: transA ? [3, 'N'] : ['N', 3], B: transB ? [4, 3] : [3, 4], C: [4] },
    build: (b) => b.op('Gemm', ['A', 'B', 'C'], { transA, transB, alpha: float(0.7), beta: float(-1.3) }),
  })),
)

const biases: GradcheckCase[] = [[], [1], [4], [1, 4], ['N', 1], ['N', 4], [1, 1]].map((shape) => ({
  ops: ['Gemm'],
  title: `bias [${shape.join(', ')}]`,
  inputs: { A: ['N', 3], B: [3, 4], C: shape },
  build: (b) => b.op('Gemm', ['A', 'B', 'C']),
}))

const products = (
  [
    [
      ['N', 3],
      [3, 4],
    ],
    [
      ['N', 5, 3],
      [3, 4],
    ],
    [
      [2, 'N', 5, 3],
      [3, 4],
    ],
    [
      ['N', 2, 3],
      ['N', 3, 4],
    ],
    [
      ['N', 2, 5, 3],
      [2, 3, 4],
    ],
    [
      ['N', 1, 2, 3],
      ['N', 4, 3, 2],
    ],
    [
      [1, 2, 3],
      ['N', 3, 2],
    ],
    [
      [2, 3],
      ['N', 3, 4],
    ],
    [[3], [3]],
    [[3], [3, 4]],
    [['N', 3], [3]],
    [['N', 2, 3], [3]],
    [[3], ['N', 3, 4]],
  ] as const
).map(
  ([A, B]): GradcheckCase => ({
    ops: ['MatMul'],
    title: `[${A.join(', ')}] × [${B.join(', ')}]`,
    inputs: { A, B },
    build: (b) => b.op('MatMul', ['A', 'B']),
  }),
)

export const linear: readonly GradcheckCase[] = [
  ...gemms,
  ...biases,
  {
    ops: ['Gemm'],
    title: 'no bias',
    inputs: { A: ['N', 3], B: [3, 4] },
    build: (b) => b.op('Gemm', ['A', 'B']),
  },
  {
    ops: ['Gemm'],
    title: 'bias left out by an empty name',
    inputs: { A: ['N', 3], B: [3, 4] },
    build: (b) => b.op('Gemm', ['A', 'B', '']),
  },
  ...products,
  ...(
    [
      ['a product', 'nk,km->nm', { A: ['N', 3], B: [3, 4] }, ['N', 4]],
      ['attention', 'bqhd,bkhd->bhqk', { A: ['N', 2, 3, 4], B: ['N', 5, 3, 4] }, ['N', 3, 2, 5]],
      ['an index that is summed out of one', 'nk,m->n', { A: ['N', 3], B: [4] }, ['N']],
      ['one operand', 'nkm->mn', { A: ['N', 3, 4] }, [4, 'N']],
      ['without an arrow', 'nk,km', { A: ['N', 3], B: [3, 4] }, [4, 'N']],
      ['three operands', 'n,nk,k->n', { A: ['N'], B: ['N', 3], C: [3] }, ['N']],
      ['an ellipsis', '...k,km->...m', { A: ['N', 2, 3], B: [3, 4] }, ['N', 2, 4]],
    ] as const
  ).map(
    ([title, equation, inputs, output]): GradcheckCase => ({
      ops: ['Einsum'],
      title,
      inputs,
      output,
      build: (b) => b.op('Einsum', Object.keys(inputs), { equation }),
    }),
  ),
]
