import type { GradcheckCase, Values } from '../case.js'

function row(
  op: string,
  title: string,
  inputs: GradcheckCase['inputs'],
  build: GradcheckCase['build'],
  values: Values = 'normal',
): GradcheckCase {
  return { ops: [op], title: `open sizes: ${title}`, inputs, build, values }
}

/** Graphs with more than the batch left open. K is 4 and M is 1 when they run, which nothing knows before. */
export const openSizes: readonly GradcheckCase[] = [
  row('Add', 'a stretched operand', { p: ['N', 3], q: ['M', 3] }, (b) => b.op('Add', ['p', 'q'])),
  row('Mul', 'both stretched', { p: ['N', 'M'], q: ['M', 'K'] }, (b) => b.op('Mul', ['p', 'q'])),
  row('Mul', 'of lower rank', { p: ['N', 'K'], q: ['K'] }, (b) => b.op('Mul', ['p', 'q'])),
  row(
    'Div',
    'of lower rank and stretched',
    { p: ['N', 3, 'K'], q: ['M', 'K'] },
    (b) => b.op('Div', ['p', 'q']),
    'positive',
  ),
  row('ReduceMean', 'over an open axis', { x: ['N', 'K', 3] }, (b) => b.op('ReduceMean', ['x'], { axes: [1] })),
  row('ReduceSum', 'over everything', { x: ['N', 'K'] }, (b) => b.op('ReduceSum', ['x'], { keepdims: 0 })),
  row(
    'ReduceMax',
    'over an open axis',
    { x: ['N', 'K', 3] },
    (b) => b.op('ReduceMax', ['x'], { axes: [1] }),
    'distinct',
  ),
  row('Softmax', 'over an open axis', { x: ['N', 'K'] }, (b) => b.op('Softmax', ['x'])),
  row('Reshape', 'two open sizes', { x: ['N', 'K', 6] }, (b) => b.op('Reshape', ['x', b.ints([0, -1, 3])])),
  row('Reshape', 'a product of open sizes', { x: ['N', 'K', 2] }, (b) => b.op('Reshape', ['x', b.ints([-1, 2])])),
  row('Concat', 'along an open axis', { p: ['N', 'K'], q: ['N', 2] }, (b) => b.op('Concat', ['p', 'q'], { axis: 1 })),
  row('Slice', 'of an open axis', { x: ['N', 'K'] }, (b) =>
    b.op('Slice', ['x', b.ints([1]), b.ints([-1]), b.ints([1])]),
  ),
  row('Tile', 'two open sizes', { x: ['N', 'K'] }, (b) => b.op('Tile', ['x', b.ints([2, 3])])),
  row('Expand', 'to the shape of another value', { x: ['N', 1], z: ['N', 'K'] }, (b) =>
    b.op('Mul', [b.op('Expand', ['x', b.op('Shape', ['z'])]), 'z']),
  ),
  row('Gather', 'rows of an open table', { x: ['K', 3] }, (b) => b.op('Gather', ['x', b.ints([2, 0, 2])])),
  row('MatMul', 'rows', { p: ['N', 'K', 3], q: [3, 4] }, (b) => b.op('MatMul', ['p', 'q'])),
  row('MatMul', 'batched, as attention has it', { p: ['N', 'K', 3], q: ['N', 3, 'K'] }, (b) =>
    b.op('MatMul', ['p', 'q']),
  ),
  row(
    'MaxPool',
    'height and width',
    { x: ['N', 2, 'K', 'K'] },
    (b) => b.op('MaxPool', ['x'], { kernel_shape: [3, 2], strides: [1, 2] }),
    'distinct',
  ),
  row('LayerNormalization', 'rows', { x: ['N', 'K', 3], gamma: [3], beta: [3] }, (b) =>
    b.op('LayerNormalization', ['x', 'gamma', 'beta']),
  ),
]
