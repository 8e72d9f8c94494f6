import type { GradcheckCase } from '../case.js'

export const softmax: readonly GradcheckCase[] = ['Softmax', 'LogSoftmax'].flatMap((op) =>
  [undefined, -1, 0, 1, -2].map((axis) => ({
    ops: [op],
    title: `axis ${axis ?? 'by default'}`,
    inputs: { x: ['N', 4, 3] },
    build: (b) => b.op(op, ['x'], axis === undefined ? {} : { axis }),
  })),
)
