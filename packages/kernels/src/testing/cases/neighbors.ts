import type { Rng } from '@imago/tensor'
import { drawFor } from '../draw.js'
import { elements } from '../judge.js'
import type { ParityCase, ParityTable } from '../parity-case.js'

const shapes: readonly (readonly [rows: number, continuous: number, nominal: number])[] = [
  [2, 1, 0],
  [2, 0, 1],
  [3, 2, 1],
  [31, 5, 0],
  [33, 0, 4],
  [64, 7, 13],
  [65, 54, 0],
  [130, 10, 44],
  [600, 3, 2],
  [1050, 2, 0],
]

/** Ways to fill rows: what finding the nearest gets wrong, and what it finds slow. */
const fills: { readonly [name: string]: (random: Rng, columns: number) => (row: number, column: number) => number } = {
  uniform: (random) => () => random.uniform(),
  'few values': (random) => () => random.integer(3) / 4,
  'all equal': () => () => 0.3,
  'far from zero': (random) => () => 1000 + random.uniform() / 64,
  'almost equal': (random) => () => 0.5 + random.integer(4) * 2 ** -24,
  'in line': () => (row, column) => row / 16 + column,
  huge: (random) => () => (random.uniform() - 0.5) * 2 ** 49,
  tiny: (random) => () => random.integer(5) * 2 ** -75,
  subnormal: (random) => () => random.integer(5) * 2 ** -128,
  'one far away': (random, columns) => (row, column) => (row === 1 && column === columns - 1 ? 1e9 : random.uniform()),
}

const cases: ParityCase[] = shapes.flatMap(([rows, continuous, nominal]) =>
  Object.entries(fills).map(([fill, draw]) => {
    const name = `${rows}×(${continuous} + ${nominal}) ${fill}`
    return {
      name,
      make: () => {
        const random = drawFor(name)
        const value = draw(random, continuous)
        const x = Float32Array.from({ length: rows * continuous }, (_, i) =>
          value(Math.floor(i / continuous), i % continuous),
        )
        const codes = Int32Array.from({ length: rows * nominal }, () =>
          fill === 'all equal' ? 7 : random.integer(3) * (fill === 'huge' ? -(2 ** 30) : 1),
        )
        const distances = fill === 'few values' ? null : new Float64Array(rows)
        return {
          buffers: [continuous === 0 ? null : x, nominal === 0 ? null : codes, new Int32Array(rows), distances],
          scalars: [rows, continuous, nominal],
        }
      },
    }
  }),
)

const refusals: ParityCase[] = [
  ...(
    [
      [Number.NaN, /x: NaN in row 4/],
      [Number.NEGATIVE_INFINITY, /x: -Infinity in row 4/],
      [1e15, /x: \S+ is beyond 2\^48 in row 4/],
    ] as const
  ).map(([value, refuses]) => ({
    name: `${value} in row 4`,
    make: () => ({
      buffers: [new Float32Array(30).fill(1).fill(value, 14, 15), null, new Int32Array(10), null],
      scalars: [10, 3, 0],
    }),
    refuses,
  })),
  {
    name: 'one row',
    make: () => ({ buffers: [new Float32Array(3), null, new Int32Array(1), null], scalars: [1, 3, 0] }),
    refuses: /rows must be/,
  },
  {
    name: 'no attribute',
    make: () => ({ buffers: [null, null, new Int32Array(2), null], scalars: [2, 0, 0] }),
    refuses: /at least one attribute/,
  },
]

export const nearestNeighborsTable: ParityTable = {
  cases: [...cases, ...refusals],
  judge: (_, want, got) => [
    elements('neighbors', want.buffers[2] as Int32Array, got.buffers[2] as Int32Array, 'exact'),
    ...(want.buffers[3]
      ? [elements('squaredDistances', want.buffers[3] as Float64Array, got.buffers[3] as Float64Array, 'exact')]
      : []),
  ],
  outputs: [2, 3],
}
