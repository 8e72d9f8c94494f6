import type { Rng } from '@imago/tensor'
import { drawFor, normals, weightsOf } from '../draw.js'
import type { KernelCall, ParityCase } from '../parity-case.js'

interface Drawn {
  readonly rows: number
  readonly classes: number
  readonly student: Float32Array
  readonly distribution: Float32Array
  readonly rowWeights: Float32Array | null
  readonly classMask?: Uint8Array
}

/** Distributions for labels: a teacher's, those that the student has learned already (q − t is rounding), one-hot ones. */
const kinds: { readonly [name: string]: (student: Float32Array, classes: number, random: Rng) => Float32Array } = {
  soft: (student, classes, random) => softmaxOf(normals(random, student.length, 3), classes),
  learned: softmaxOf,
  'one-hot': (student, classes) => student.map((_, i) => (i % classes === Math.floor(i / classes) % classes ? 1 : 0)),
}

const sizes = [
  [3, 1],
  [5, 2],
  [7, 10],
  [4, 129],
  [2, 4099],
] as const

const inf = Number.POSITIVE_INFINITY

function draw(name: string, rows: number, classes: number, kind: string, scale: number): Drawn {
  const random = drawFor(name)
  const student = normals(random, rows * classes, scale)
  const distribution = kinds[kind]!(student, classes, random)
  return { rows, classes, student, distribution, rowWeights: weightsOf(random, rows) }
}

function changed(name: string, change: (drawn: Drawn) => Partial<Drawn>): [string, () => Drawn] {
  return [name, () => ({ ...draw(name, 5, 10, 'soft', 2), rowWeights: null, ...change(draw(name, 5, 10, 'soft', 2)) })]
}

function set(values: Float32Array, at: number, value: number): Float32Array {
  return values.map((old, i) => (i === at ? value : old))
}

const good: [string, () => Drawn][] = [
  ...Object.keys(kinds).flatMap((kind) =>
    sizes.flatMap(([rows, classes]) =>
      [0.01, 2, 1e4].map((scale): [string, () => Drawn] => {
        const name = `${kind} distribution, C=${classes}, logits ±${scale}`
        return [name, () => draw(name, rows, classes, kind, scale)]
      }),
    ),
  ),
  changed('no mass where the student has −∞', ({ student, distribution }) => ({
    student: student.map((z, i) => (i % 10 === 3 ? -inf : z)),
    distribution: spread(distribution, (i) => i % 10 !== 3),
  })),
  changed('mass where the student has −∞', ({ student }) => ({ student: set(student, 3, -inf) })),
  changed('logits over all of float32', ({ student }) => ({ student: student.map((_, i) => (i % 3 ? 3e38 : -3e38)) })),
  changed('anything in rows of weight 0', ({ distribution }) => ({
    distribution: set(distribution, 12, Number.NaN),
    rowWeights: Float32Array.of(1, 0, 2, 1, 1),
  })),
  changed('anything in masked classes', ({ student, distribution }) => ({
    student: set(student, 19, Number.NaN),
    distribution: set(
      spread(distribution, (i) => i % 10 < 8),
      29,
      -inf,
    ),
    classMask: Uint8Array.of(1, 1, 1, 1, 1, 1, 1, 1, 0, 0),
  })),
]

const bad: [RegExp, [string, () => Drawn]][] = [
  [
    /distribution: NaN in row 1/i,
    changed('NaN', ({ distribution }) => ({ distribution: set(distribution, 11, Number.NaN) })),
  ],
  [
    /distribution: -0.5 in row 2/,
    changed('negative', ({ distribution }) => ({ distribution: set(distribution, 25, -0.5) })),
  ],
  [
    /distribution: [\d.]+ as the sum in row 0/,
    changed('sum 2', ({ distribution }) => ({ distribution: set(distribution, 3, 1.5) })),
  ],
  [/student: NaN in row 3/, changed('student NaN', ({ student }) => ({ student: set(student, 33, Number.NaN) }))],
]

/** Cases of cross_entropy whose targets are distributions. */
export function distributions(smoothing: number): ParityCase[] {
  const call = ({ rows, classes, student, distribution, rowWeights, classMask }: Drawn): KernelCall => ({
    buffers: [
      student,
      null,
      rowWeights,
      new Float32Array(student.length).fill(Number.NaN),
      new Float64Array(1).fill(Number.NaN),
      distribution,
      classMask ?? null,
    ],
    scalars: [rows, classes, smoothing, -100],
  })
  return [
    ...good.map(([name, make]) => ({ name, make: () => call(make()) })),
    ...bad.map(([refuses, [name, make]]) => ({ name: `distribution: ${name}`, make: () => call(make()), refuses })),
  ]
}

/** Rows of probabilities; float32, so that their sum is 1 to seven digits. */
function softmaxOf(logits: Float32Array, classes: number): Float32Array {
  const out = new Float32Array(logits.length)
  for (let start = 0; start < logits.length; start += classes) {
    const row = logits.subarray(start, start + classes)
    const max = row.reduce((a, b) => Math.max(a, b))
    const sum = row.reduce((total, z) => total + Math.exp(z - max), 0)
    out.set(
      row.map((z) => Math.exp(z - max) / sum),
      start,
    )
  }
  return out
}

/** The distribution with mass on the kept classes (of ten) only. */
function spread(distribution: Float32Array, keep: (i: number) => boolean): Float32Array {
  const kept = distribution.map((t, i) => (keep(i) ? t : 0))
  return kept.map((t, i) => {
    const start = i - (i % 10)
    return t / kept.subarray(start, start + 10).reduce((a, b) => a + b)
  })
}
