import type { Rng } from '@imago/tensor'
import { decodeBfloat16, decodeFloat16 } from '../../half.js'
import { drawFor, normals, weightsOf } from '../draw.js'
import { elements } from '../judge.js'
import type { ParityCase, ParityTable } from '../parity-case.js'

/** Every bit pattern of 16 bits. */
const patterns = (): Uint16Array => Uint16Array.from({ length: 65_536 }, (_, i) => i)

/** Every number of the type, and what lies halfway to the next, and the float32 neighbours of that. */
function corners(decode: (bits: number) => number): Float32Array {
  const word = new Uint32Array(1)
  const float = new Float32Array(word.buffer)
  const all: number[] = []
  for (let bits = 0; bits < 65_536; bits++) {
    all.push(decode(bits))
    float[0] = (decode(bits) + decode(bits + 1)) / 2
    const middle = word[0]!
    for (const near of [middle - 1, middle, middle + 1]) {
      word[0] = near
      all.push(float[0])
    }
  }
  return Float32Array.from(all)
}

function randomBits(name: string, n: number): Float32Array {
  const random = drawFor(name)
  return new Float32Array(Uint32Array.from({ length: n }, () => random.uint32()).buffer)
}

const types = [
  { name: 'float16', code: 1, decode: decodeFloat16 },
  { name: 'bfloat16', code: 2, decode: decodeBfloat16 },
]

const convertHalfCases: ParityCase[] = types.flatMap(({ name, code, decode }) => [
  {
    name: `from every ${name}`,
    make: () => ({ buffers: [new Float32Array(65_536), patterns()], scalars: [65_536, code, 0] }),
  },
  {
    name: `to ${name}: every number, every tie and its neighbours`,
    make: () => {
      const single = corners(decode)
      return { buffers: [single, new Uint16Array(single.length)], scalars: [single.length, code, 1] }
    },
  },
  ...[1, 7, 100, 50_001].flatMap((n) =>
    [0, 1].map((encode) => ({
      name: `${encode ? 'to' : 'from'} ${name}, random bits, n=${n}`,
      make: () => {
        const single = randomBits(`${name} ${n}`, n)
        return { buffers: [single, Uint16Array.from({ length: n }, (_, i) => i * 31)], scalars: [n, code, encode] }
      },
    })),
  ),
])

/** Bits, with one NaN for all: the sign and the payload of a NaN are nobody's business. */
function bitsOf(values: Float32Array | Uint16Array, isNaNBits: (bits: number) => boolean): Uint32Array {
  const bits =
    values instanceof Float32Array ? new Uint32Array(values.slice().buffer) : Uint32Array.from(values as Uint16Array)
  return bits.map((one) => (isNaNBits(one) ? 0xffffffff : one))
}

export const convertHalfTable: ParityTable = {
  cases: convertHalfCases,
  judge: ({ scalars }, want, got) => {
    const infinite = scalars[1] === 1 ? 0x7c00 : 0x7f80
    const single = (bits: number): boolean => (bits & 0x7fffffff) > 0x7f800000
    const half = (bits: number): boolean => (bits & 0x7fff) > infinite
    return [
      elements(
        'single',
        bitsOf(want.buffers[0] as Float32Array, single),
        bitsOf(got.buffers[0] as Float32Array, single),
        'exact',
      ),
      elements(
        'half',
        bitsOf(want.buffers[1] as Uint16Array, half),
        bitsOf(got.buffers[1] as Uint16Array, half),
        'exact',
      ),
    ]
  },
  outputs: [0, 1],
}

const topKShapes: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [3, 5, 1],
  [3, 5, 5],
  [7, 17, 4],
  [40, 100, 10],
  [2, 1500, 1024],
  [3, 4099, 50],
  [1, 70_001, 1000],
]

/** Ways to fill rows: what the selection finds hard. */
const fills: { readonly [name: string]: (random: Rng, n: number, classes: number) => Float32Array } = {
  normal: (random, n) => normals(random, n, 4),
  'few values': (random, n) => Float32Array.from({ length: n }, () => random.integer(3) - 1),
  ascending: (_, n, classes) => Float32Array.from({ length: n }, (_, i) => (i % classes) / 16),
  descending: (_, n, classes) => Float32Array.from({ length: n }, (_, i) => -(i % classes)),
  'all equal': (_, n) => new Float32Array(n).fill(-3),
  'zeros of both signs': (random, n) => Float32Array.from({ length: n }, () => (random.integer(2) ? 0 : -0)),
  'mostly −∞': (random, n, classes) =>
    Float32Array.from({ length: n }, (_, i) =>
      i % classes !== 0 && random.integer(4) ? Number.NEGATIVE_INFINITY : random.normal(),
    ),
  huge: (random, n) => normals(random, n, 1e4),
  subnormal: (random, n) => Float32Array.from({ length: n }, () => (random.integer(1000) - 500) * 2 ** -149),
}

const topKCases: ParityCase[] = topKShapes.flatMap(([rows, classes, k]) =>
  Object.entries(fills).flatMap(([fill, draw]) =>
    [1, 0.05, 20].map((temperature) => {
      const name = `${rows}×${classes} k=${k} ${fill} T=${temperature}`
      return {
        name,
        make: () => ({
          buffers: [
            draw(drawFor(name), rows * classes, classes),
            new Float32Array(rows * k),
            new Int32Array(rows * k),
            new Float64Array(rows),
            temperature === 20 ? null : new Float64Array(rows),
          ],
          scalars: [rows, classes, k, temperature],
        }),
      }
    }),
  ),
)

const topKRefusals: ParityCase[] = (
  [
    ['NaN', Number.NaN, /logits: NaN in row 0/],
    ['∞', Number.POSITIVE_INFINITY, /logits: Infinity in row 0/],
    ['−∞ alone', Number.NEGATIVE_INFINITY, /logits: only -Infinity in row 0/],
  ] as const
).flatMap(([name, value, refuses]) =>
  [0, 30, 98].map((at) => ({
    name: `${name} at ${at}`,
    make: () => {
      const logits = new Float32Array(99).fill(value === Number.NEGATIVE_INFINITY ? value : 1).fill(value, at, at + 1)
      return { buffers: [logits, new Float32Array(2), new Int32Array(2), null, null], scalars: [1, 99, 2, 1] }
    },
    refuses,
  })),
)

export const topKTable: ParityTable = {
  cases: [...topKCases, ...topKRefusals],
  judge: (_, want, got) => [
    elements('values', want.buffers[1] as Float32Array, got.buffers[1] as Float32Array, 'exact'),
    elements('indices', want.buffers[2] as Int32Array, got.buffers[2] as Int32Array, 'exact'),
    ...[3, 4].flatMap((i) => {
      const [wanted, found] = [want.buffers[i], got.buffers[i]] as (Float64Array | null)[]
      const name = i === 3 ? 'logSumExp' : 'logTail'
      if (!wanted || !found) return []
      return [elements(name, wanted, found, 'logProbability', (w) => Math.max(1, Math.abs(w)))]
    }),
  ],
  outputs: [1, 2, 3, 4],
}

const covarianceShapes: readonly (readonly [number, number])[] = [
  [1, 1],
  [5, 3],
  [2, 40],
  [100, 17],
  [300, 33],
  [65, 70],
]

const covarianceCases: ParityCase[] = covarianceShapes.flatMap(([rows, columns]) =>
  ['plain', 'weighted', 'far from zero', 'going on'].map((kind) => {
    const name = `${rows}×${columns} ${kind}`
    return {
      name,
      make: () => {
        const random = drawFor(name)
        const x = normals(random, rows * columns, 3)
        if (kind === 'far from zero') for (let i = 0; i < x.length; i++) x[i]! += 1e4 * ((i % columns) - 1)
        const weights = kind === 'weighted' ? weightsOf(random, rows) : null
        const moments = [Float64Array.of(0), new Float64Array(columns), new Float64Array(columns * columns)] as const
        if (kind === 'going on') {
          moments[0][0] = 12.5
          for (let i = 0; i < columns; i++) {
            moments[1][i] = random.normal()
            for (let j = i; j < columns; j++) moments[2][i * columns + j] = (i === j ? 40 : 1) + random.uniform()
          }
        }
        return { buffers: [x, weights, ...moments], scalars: [rows, columns] }
      },
    }
  }),
)

const covarianceRefusals: ParityCase[] = (
  [
    [Number.NaN, /x: NaN in row 7/],
    [Number.POSITIVE_INFINITY, /x: Infinity in row 7/],
    [Number.NEGATIVE_INFINITY, /x: -Infinity in row 7/],
  ] as const
).map(([value, refuses]) => ({
  name: `${value} in row 7`,
  make: () => ({
    buffers: [
      new Float32Array(200).fill(1).fill(value, 159, 160),
      null,
      new Float64Array(1),
      new Float64Array(20),
      new Float64Array(400),
    ],
    scalars: [10, 20],
  }),
  refuses,
}))

export const covarianceTable: ParityTable = {
  cases: [...covarianceCases, ...covarianceRefusals],
  judge: ({ scalars }, want, got) => {
    const columns = scalars[1]!
    const [count, mean, comoment] = want.buffers.slice(2) as Float64Array[]
    // √(M_ii·M_jj), as Cauchy and Schwarz have it, each with the rounding of a mean that is far from zero.
    const lengths = Float64Array.from({ length: columns }, (_, i) =>
      Math.sqrt(comoment![i * columns + i]! + count![0]! * 1e-8 * mean![i]! ** 2),
    )
    return [
      elements('count', count!, got.buffers[2] as Float64Array, 'float64Sum'),
      elements('mean', mean!, got.buffers[3] as Float64Array, 'float64Sum', (w) => Math.max(1, Math.abs(w))),
      elements(
        'comoment',
        comoment!,
        got.buffers[4] as Float64Array,
        'float64Sum',
        (_, at) => lengths[Math.floor(at / columns)]! * lengths[at % columns]!,
      ),
    ]
  },
  outputs: [2, 3, 4],
}
