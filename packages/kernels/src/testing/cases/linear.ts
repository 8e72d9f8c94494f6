import type { KernelBuffer } from '../../binding.js'
import { drawFor, labelsOf, normals, weightsOf } from '../draw.js'
import { judgeLinear } from '../judge-linear.js'
import type { KernelCall, ParityCase, ParityTable } from '../parity-case.js'

/** One call by the names of its parts; half precision is cut from float32 numbers when the call is made. */
interface Parts {
  readonly rows: number
  readonly classes: number
  readonly depth: number
  readonly teacherDepth: number
  readonly temperature: number
  readonly hardWeight: number
  readonly chunkRows: number
  /** 0 float32, 1 float16, 2 bfloat16. */
  readonly studentType: number
  readonly teacherType: number
  readonly hidden: Float32Array
  readonly weight: Float32Array
  readonly bias: Float32Array | null
  readonly teacherLogits: Float32Array | null
  readonly teacherHidden: Float32Array | null
  readonly teacherWeight: Float32Array | null
  readonly teacherBias: Float32Array | null
  readonly labels: Int32Array | null
  readonly rowWeights: Float32Array | null
  readonly classMask: Uint8Array | null
  /** The gradients that are asked for. */
  readonly wants: readonly ('hidden' | 'weight' | 'bias' | 'in place')[]
}

type Size = readonly [rows: number, classes: number, depth: number]
const everything = ['hidden', 'weight', 'bias'] as const

function partsOf(name: string, [rows, classes, depth]: Size, temperature = 4): Parts {
  const random = drawFor(`linear ${name}`)
  return {
    rows,
    classes,
    depth,
    teacherDepth: 0,
    temperature,
    hardWeight: 0.1,
    chunkRows: 0,
    studentType: 0,
    teacherType: 0,
    hidden: normals(random, rows * depth),
    weight: normals(random, classes * depth, 2 / Math.sqrt(depth)),
    bias: normals(random, classes),
    teacherLogits: normals(random, rows * classes, 4),
    teacherHidden: null,
    teacherWeight: null,
    teacherBias: null,
    labels: labelsOf(random, rows, classes),
    rowWeights: weightsOf(random, rows),
    classMask: null,
    wants: everything,
  }
}

/** The same with a teacher that comes as a head of another depth. */
function withHead(name: string, parts: Parts, teacherDepth = parts.depth + 3): Parts {
  const random = drawFor(`linear teacher ${name}`)
  return {
    ...parts,
    teacherDepth,
    teacherLogits: null,
    teacherHidden: normals(random, parts.rows * teacherDepth),
    teacherWeight: normals(random, parts.classes * teacherDepth, 4 / Math.sqrt(teacherDepth)),
    teacherBias: random.integer(2) === 0 ? null : normals(random, parts.classes),
  }
}

function callOf(parts: Parts): KernelCall {
  const { rows, classes, depth, wants } = parts
  const student = (values: Float32Array) => cut(values, parts.studentType)
  const teacher = (values: Float32Array | null) => values && cut(values, parts.teacherType)
  const hidden = student(parts.hidden)
  const output = (name: 'hidden' | 'weight' | 'bias', length: number): KernelBuffer =>
    wants.includes(name) ? new Float32Array(length).fill(Number.NaN) : null
  return {
    buffers: [
      hidden,
      student(parts.weight),
      parts.bias,
      teacher(parts.teacherLogits),
      teacher(parts.teacherHidden),
      teacher(parts.teacherWeight),
      parts.teacherBias,
      parts.labels,
      parts.rowWeights,
      wants.includes('in place') ? hidden : output('hidden', rows * depth),
      output('weight', classes * depth),
      output('bias', classes),
      new Float64Array(3).fill(Number.NaN),
      parts.classMask,
    ],
    scalars: [
      rows,
      classes,
      depth,
      parts.teacherDepth,
      parts.temperature,
      parts.hardWeight,
      -100,
      parts.studentType,
      parts.teacherType,
      parts.chunkRows,
    ],
  }
}

/** bfloat16 is float32's upper half; float16 has its exponent elsewhere (numbers in its normal range, or infinite, or 0). */
function cut(values: Float32Array, type: number): Float32Array | Uint16Array {
  if (type === 0) return values
  const words = new Uint32Array(values.slice().buffer)
  if (type === 2) return Uint16Array.from(words, (word) => word >>> 16)
  return Uint16Array.from(words, (word) => {
    const sign = (word >>> 16) & 0x8000
    const exponent = ((word >>> 23) & 0xff) - 112
    if (exponent <= 0) return sign
    return sign | (exponent >= 31 ? 0x7c00 : (exponent << 10) | ((word >>> 13) & 0x3ff))
  })
}

function one(name: string, size: Size, change: (parts: Parts) => Partial<Parts> = () => ({}), T = 4): ParityCase {
  return {
    name,
    make: () => {
      const parts = partsOf(name, size, T)
      return callOf({ ...parts, ...change(parts) })
    },
  }
}

/** A case with both kinds of teacher. */
function both(name: string, size: Size, change: (parts: Parts) => Partial<Parts> = () => ({}), T = 4): ParityCase[] {
  const head = (parts: Parts) => {
    const changed = { ...parts, ...change(parts) }
    return withHead(name, changed)
  }
  return [one(`${name}, teacher's logits`, size, change, T), one(`${name}, teacher's head`, size, head, T)]
}

const sizes: readonly (readonly [...Size, chunkRows: number])[] = [
  [1, 1, 1, 0],
  [5, 1, 7, 0],
  [1, 2, 1, 0],
  [3, 10, 1, 2],
  [7, 17, 5, 0],
  [50, 33, 40, 7],
  [50, 33, 40, 16],
  [50, 33, 40, 1],
  [50, 33, 40, 50],
  [31, 129, 65, 14],
  [20, 130, 600, 0],
  [9, 4099, 33, 4],
  [600, 37, 19, 0],
  [600, 37, 19, 129],
  [1100, 12, 9, 0],
]

const unlabelled = { labels: null, rowWeights: null, hardWeight: 0 }
const inf = Number.POSITIVE_INFINITY

function set(values: Float32Array, at: { readonly [index: number]: number }): Float32Array {
  const changed = values.slice()
  for (const i in at) changed[Number(i)] = at[i]!
  return changed
}

const small: Size = [9, 17, 6]
const cases: ParityCase[] = [
  ...sizes.flatMap(([rows, classes, depth, chunkRows]) =>
    both(`${rows} x ${classes} x ${depth}, chunks of ${chunkRows}`, [rows, classes, depth], () => ({ chunkRows })),
  ),
  ...[1e-3, 0.1, 1, 20, 1e3, 1e6].flatMap((T) => [
    ...both(`T=${T} C=17`, [8, 17, 5], () => ({ chunkRows: 3 }), T),
    ...both(`T=${T} C=200`, [5, 200, 31], () => ({ chunkRows: 3 }), T),
  ]),
  ...both('logits to ±1e4', [8, 40, 12], ({ weight }) => ({ weight: weight.map((w) => w * 2e3) })),
  ...[1, 2].flatMap((type) =>
    both(`student's type ${type}`, [20, 65, 40], () => ({ studentType: type, chunkRows: 8 })),
  ),
  ...[1, 2].flatMap((type) =>
    both(`teacher's type ${type}`, [20, 65, 40], () => ({ teacherType: type, chunkRows: 8 })),
  ),
  ...both('float16 rows in one chunk, all of them', [9, 33, 12], () => ({ ...unlabelled, teacherType: 1 })),
  ...both('no bias', small, () => ({ bias: null })),
  ...both('no labels, no weights, chunks of 4', small, () => ({ ...unlabelled, chunkRows: 4 })),
  ...both('hard labels only', small, () => ({ hardWeight: 1 })),
  ...both('soft targets only', small, () => ({ hardWeight: 0 })),
  ...both('unlabelled', small, ({ rows }) => ({ labels: new Int32Array(rows).fill(-1), chunkRows: 2 })),
  ...both('all rows ignored', small, ({ rows }) => ({ labels: new Int32Array(rows).fill(-100) })),
  ...both('all weights 0', small, ({ rows }) => ({ rowWeights: new Float32Array(rows) })),
  ...both('no rows', [0, 17, 6]),
  ...both('weights from tiny to huge, one row a chunk', [5, 17, 6], () => ({
    labels: null,
    hardWeight: 0,
    rowWeights: Float32Array.of(1e-20, 1e20, 1, 0, 1e-3),
    chunkRows: 1,
  })),
  ...both('NaN in rows that are left out', small, ({ hidden, teacherLogits, depth, classes }) => ({
    ...unlabelled,
    rowWeights: Float32Array.of(1, 0, 0, 2, 1, 0, 1, 1, 0),
    hidden: hidden.map((x, i) => ([1, 2, 5, 8].includes(Math.floor(i / depth)) ? Number.NaN : x)),
    teacherLogits: teacherLogits!.map((x, i) => ([1, 2, 5, 8].includes(Math.floor(i / classes)) ? inf : x)),
    chunkRows: 2,
  })),
  one('classes excluded by the bias and by the teacher', small, ({ bias, teacherLogits, classes }) => ({
    ...unlabelled,
    bias: set(bias!, { 3: -inf, 16: -inf }),
    teacherLogits: teacherLogits!.map((v, i) => ([3, 16].includes(i % classes) ? -inf : v)),
    chunkRows: 4,
  })),
  one('a class excluded by the bias where the teacher has mass', small, ({ bias }) => ({
    ...unlabelled,
    bias: set(bias!, { 3: -inf }),
  })),
  ...both('masked classes, whose bias and teacher are NaN', small, ({ bias, teacherLogits, classes }) => ({
    ...unlabelled,
    classMask: Uint8Array.from({ length: classes }, (_, c) => (c === 0 || c > 12 ? 0 : 1)),
    bias: bias!.map((b, c) => (c > 14 ? Number.NaN : b)),
    teacherLogits: teacherLogits!.map((v, i) => (i % classes > 12 ? Number.NaN : v)),
    chunkRows: 4,
  })),
  one('hidden gradient only', small, () => ({ wants: ['hidden'], chunkRows: 4 })),
  one('weight gradient only', small, () => ({ wants: ['weight'], chunkRows: 4 })),
  one('bias gradient only, without a bias', small, () => ({ wants: ['bias'], bias: null, chunkRows: 4 })),
  one('value only', small, () => ({ wants: [], chunkRows: 4 })),
  ...both('hidden gradient in place', small, () => ({ wants: ['in place', 'weight', 'bias'], chunkRows: 4 })),
]

const refused: ParityCase[] = [
  {
    ...one('hidden NaN', small, ({ hidden }) => ({ ...unlabelled, hidden: set(hidden, { 20: Number.NaN }) })),
    refuses: /\bstudentHidden: NaN in row 3/,
  },
  {
    ...one('hidden Infinity', small, ({ hidden }) => ({ ...unlabelled, hidden: set(hidden, { 20: -inf }) })),
    refuses: /\bstudentHidden: -Infinity in row 3/,
  },
  {
    ...one('weight NaN', small, ({ weight }) => ({ weight: set(weight, { 100: Number.NaN }) })),
    refuses: /\bstudentWeight: NaN in row 16/,
  },
  {
    ...one('bias Infinity', small, ({ bias }) => ({ bias: set(bias!, { 2: inf }) })),
    refuses: /\bstudentBias: Infinity in row 0/,
  },
  {
    ...one('bias only -Infinity', small, ({ bias }) => ({ bias: bias!.map(() => -inf) })),
    refuses: /\bstudentBias: only -Infinity in row 0/,
  },
  {
    ...one('teacher NaN', small, ({ teacherLogits }) => ({
      ...unlabelled,
      teacherLogits: set(teacherLogits!, { 40: Number.NaN }),
    })),
    refuses: /\bteacher: NaN in row 2/,
  },
  {
    ...one('teacher hidden Infinity', small, (parts) => {
      const head = withHead('', parts)
      return { ...head, ...unlabelled, teacherHidden: set(head.teacherHidden!, { 9: inf }) }
    }),
    refuses: /\bteacherHidden: Infinity in row 1/,
  },
  {
    ...one('label = C', small, ({ rows }) => ({
      rowWeights: null,
      labels: Int32Array.from({ length: rows }, (_, r) => (r === 7 ? 17 : 0)),
    })),
    refuses: /\blabels: 17 in row 7/,
  },
  {
    ...one('logits beyond float32', small, ({ hidden, weight, depth }) => ({
      ...unlabelled,
      hidden: hidden.map((x, i) => (Math.floor(i / depth) === 1 ? 1e30 : x)),
      weight: weight.map((x) => Math.abs(x) * 1e10),
    })),
    refuses: /\bstudent: logits beyond float32 in row 1/,
  },
]

export const linearSoftTargetLossTable: ParityTable = {
  cases: [...cases, ...refused],
  judge: judgeLinear,
  outputs: [9, 10, 11, 12],
}
