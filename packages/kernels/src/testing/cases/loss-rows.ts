import type { Rng } from '@imago/tensor'
import { drawFor, halves, labelsOf, normals, uniforms, weightsOf } from '../draw.js'

/** The rows of one loss call, before it is put in a kernel's order. */
export interface LossRows {
  readonly rows: number
  readonly classes: number
  readonly temperature: number
  readonly hardWeight: number
  readonly student: Float32Array
  readonly teacher: Float32Array | Uint16Array
  /** 0 float32, 1 float16, 2 bfloat16. */
  readonly teacherType: 0 | 1 | 2
  readonly labels: Int32Array | null
  readonly rowWeights: Float32Array | null
  readonly classMask: Uint8Array | null
}

/** As they are drawn, before a case changes something. */
type Drawn = LossRows & { readonly teacher: Float32Array }

export interface LossRowsCase {
  readonly name: string
  make(): LossRows
  /** The buffer that is refused and how, for the kernels that read it. */
  readonly refuses?: { readonly buffer: 'student' | 'teacher' | 'labels' | 'classMask'; readonly message: RegExp }
}

const classCounts = [1, 2, 10, 100, 1000, 4099]
const temperatures = [1e-3, 0.1, 1, 4, 20, 1e3, 1e6]

/** How the logits are spread: what students and teachers look like, and what breaks float32. */
const spreads: { readonly [name: string]: (random: Rng, count: number) => [Float32Array, Float32Array] } = {
  usual: (random, count) => [normals(random, count, 2), normals(random, count, 4)],
  close: (random, count) => {
    const teacher = normals(random, count, 3)
    return [teacher.map((v) => v + 1e-2 * random.normal()), teacher]
  },
  offset: (random, count) => [normals(random, count, 1).map((z) => z + 300), normals(random, count, 1)],
  wide: (random, count) => [uniforms(random, count, 1e4), uniforms(random, count, 1e4)],
}

function grid(): LossRowsCase[] {
  const cases: LossRowsCase[] = []
  for (const classes of classCounts)
    for (const temperature of temperatures)
      for (const spread in spreads) {
        const name = `C=${classes} T=${temperature} ${spread}`
        cases.push({
          name,
          make: () => rowsOf(name, Math.max(3, Math.min(9, 64 / classes)) | 0, classes, temperature, spread),
        })
      }
  return cases
}

function rowsOf(name: string, rows: number, classes: number, temperature: number, spread = 'usual'): Drawn {
  const random = drawFor(name)
  const [student, teacher] = spreads[spread]!(random, rows * classes)
  const labels = labelsOf(random, rows, classes)
  return {
    rows,
    classes,
    temperature,
    hardWeight: 0.1,
    student,
    teacher,
    teacherType: 0,
    labels,
    rowWeights: weightsOf(random, rows),
    classMask: null,
  }
}

/** A usual case with something changed. */
function but(
  name: string,
  change: (rows: Drawn) => Partial<LossRows>,
  size: [number, number, number] = [5, 10, 4],
): LossRowsCase {
  return {
    name,
    make: () => {
      const rows = rowsOf(name, ...size)
      return { ...rows, ...change(rows) }
    },
  }
}

function set(values: Float32Array, at: { readonly [index: number]: number }): Float32Array {
  const changed = values.slice()
  for (const i in at) changed[Number(i)] = at[i]!
  return changed
}

const inf = Number.POSITIVE_INFINITY
const unlabelled = { labels: null, rowWeights: null, hardWeight: 0 }

const extremes: LossRowsCase[] = [
  but('no rows', () => ({}), [0, 10, 4]),
  but('one row', () => unlabelled, [1, 10, 4]),
  but('a million classes', () => unlabelled, [1, 1_000_000, 4]),
  // Vocabularies: on a GPU a row is shared by eight and by sixteen blocks, with rows at odd addresses and at even ones.
  but('50257 classes', () => ({}), [3, 50_257, 4]),
  but('128256 classes', () => ({ labels: null, hardWeight: 0 }), [2, 128_256, 4]),
  but('many rows', () => ({}), [5003, 10, 4]),
  but('many rows of 17 classes, no weights', () => unlabelled, [1021, 17, 20]),
  but('hard labels only', () => ({ hardWeight: 1 })),
  but('soft targets only', () => ({ hardWeight: 0 })),
  but('no labels', () => ({ labels: null, hardWeight: 0 })),
  but('no weights', () => ({ rowWeights: null })),
  but('unlabelled', ({ rows }) => ({ labels: new Int32Array(rows).fill(-1) })),
  but('all rows ignored', ({ rows }) => ({ labels: new Int32Array(rows).fill(-100) })),
  but('all weights 0', ({ rows }) => ({ rowWeights: new Float32Array(rows) })),
  but('tiny and huge weights', () => ({ rowWeights: Float32Array.of(1e-20, 1e20, 1, 0, 1e-3) })),
  // In float32 the square of a log-ratio underflows from T = 1e19 on.
  ...[1e-38, 1e-10, 1e12, 1e19, 1e30].map((T) => but(`T = ${T.toExponential()}`, () => ({}), [5, 10, T])),
  but('a hundred classes at T = 1e30', () => ({}), [3, 100, 1e30]),
  but(
    '-Infinity on the same classes at T = 1e30',
    ({ student, teacher }) => ({
      ...unlabelled,
      student: student.map((z, i) => (i % 4 ? z : -inf)),
      teacher: teacher.map((v, i) => (i % 4 ? v : -inf)),
    }),
    [5, 10, 1e30],
  ),
  but('student = teacher', ({ teacher }) => ({ student: teacher.slice() })),
  but('all logits equal', ({ student }) => ({ student: student.map(() => 7), teacher: student.map(() => -3) })),
  but('-0 and denormals', ({ student }) => ({ student: student.map((z, i) => (i % 2 ? -0 : z * 1e-40)) })),
  but('teacher -Infinity on some classes', ({ teacher }) => ({
    ...unlabelled,
    teacher: teacher.map((v, i) => (i % 3 ? v : -inf)),
  })),
  but(
    'teacher -Infinity at high T',
    ({ teacher }) => ({ ...unlabelled, teacher: teacher.map((v, i) => (i % 3 ? v : -inf)) }),
    [4, 100, 1e6],
  ),
  but('teacher a single class', ({ teacher }) => ({
    ...unlabelled,
    teacher: teacher.map((v, i) => (i % 10 === 4 ? v : -inf)),
  })),
  but('both -Infinity', ({ student, teacher }) => ({
    ...unlabelled,
    student: student.map((z, i) => (i % 4 ? z : -inf)),
    teacher: teacher.map((v, i) => (i % 4 ? v : -inf)),
  })),
  but('student -Infinity where the teacher has mass', ({ student }) => ({
    ...unlabelled,
    student: set(student, { 3: -inf }),
  })),
  but('student -Infinity at the label', ({ student, rows }) => ({
    rowWeights: null,
    labels: new Int32Array(rows).fill(3),
    student: set(student, { 3: -inf }),
    hardWeight: 1,
  })),
  but('±1e30', ({ student, teacher }) => ({
    student: student.map((z) => z * 1e30),
    teacher: teacher.map((v) => v * 1e30),
  })),
  but('spread over all of float32', ({ student, teacher }) => ({
    student: student.map((_, i) => (i % 2 ? 3e38 : -3e38)),
    teacher: teacher.map((_, i) => (i % 3 ? -3e38 : 3e38)),
  })),
  but('NaN in rows of weight 0', ({ student, teacher }) => ({
    ...unlabelled,
    rowWeights: Float32Array.of(1, 0, 0, 2, 1),
    student: student.map((z, i) => (i >= 10 && i < 30 ? Number.NaN : z)),
    teacher: teacher.map((v, i) => (i >= 10 && i < 30 ? inf : v)),
  })),
  but('NaN in rows left out by label', ({ student }) => ({
    rowWeights: null,
    labels: Int32Array.of(1, -100, -100, -1, 0),
    student: student.map((z, i) => (i >= 10 && i < 30 ? Number.NaN : z)),
  })),
]

/** Teachers in half precision, of both layouts, with denormals among them, and with −∞ or without. */
const halfTeachers: LossRowsCase[] = ([1, 2] as const).flatMap((teacherType) =>
  [10, 100, 1000].flatMap((classes) =>
    [false, true].map((finite) => {
      const fractionBits = teacherType === 1 ? 10 : 7
      const name = `${teacherType === 1 ? 'float16' : 'bfloat16'} teacher of ${classes} classes${finite ? ', finite' : ''}`
      const change = ({ student, rows }: Drawn): Partial<LossRows> => {
        const teacher = halves(drawFor(name), student.length, fractionBits)
        teacher.set([0x0001, 0x8000, 0x8001], 1)
        if (!finite) teacher[2 + classes] = fractionBits === 10 ? 0xfc00 : 0xff80
        return { teacher, teacherType, labels: new Int32Array(rows).fill(classes - 1) }
      }
      return but(name, change, [6, classes, 4])
    }),
  ),
)

/** Classes that are left out: what stands there must not matter. */
const masked: LossRowsCase[] = [
  ...[10, 17, 100, 1000].flatMap((classes) =>
    [1e-3, 4, 1e6].map((T) =>
      but(
        `every third class masked, C=${classes} at T = ${T}`,
        ({ rows }) => ({
          labels: Int32Array.from({ length: rows }, (_, r) => (r % 4 === 3 ? -1 : 3 * r + 1)),
          classMask: Uint8Array.from({ length: classes }, (_, c) => (c % 3 === 0 ? 0 : 1 + (c % 2) * 254)),
        }),
        [3, classes, T],
      ),
    ),
  ),
  ...[10, 200].map((classes) =>
    but(
      `a masked class above all others, NaN and Infinity in masked classes, C=${classes}`,
      ({ student, teacher }) => ({
        ...unlabelled,
        student: set(student, { [classes - 1]: 1e9, [2 * classes - 1]: Number.NaN, [3 * classes - 1]: inf }),
        teacher: set(teacher, { [classes - 1]: Number.NaN, [2 * classes - 1]: 3e38, [3 * classes - 1]: -inf }),
        classMask: Uint8Array.from({ length: classes }, (_, c) => (c === classes - 1 ? 0 : 1)),
      }),
      [5, classes, 4],
    ),
  ),
  but('all classes masked but one', () => ({ ...unlabelled, classMask: Uint8Array.of(0, 0, 0, 0, 0, 0, 2, 0, 0, 0) })),
  but('a mask that leaves all', () => ({ classMask: new Uint8Array(10).fill(1) })),
  but('masked and ±1e30', ({ student, teacher }) => ({
    ...unlabelled,
    student: student.map((z) => z * 1e30),
    teacher: teacher.map((v) => v * 1e30),
    classMask: Uint8Array.of(1, 1, 0, 1, 0, 1, 1, 1, 1, 0),
  })),
]

const refused: LossRowsCase[] = [
  {
    ...but('only -Infinity where the mask leaves classes, in row 2', ({ student }) => ({
      ...unlabelled,
      student: student.map((z, i) => (i >= 20 && i < 29 ? -inf : z)),
      classMask: Uint8Array.of(1, 1, 1, 1, 1, 1, 1, 1, 1, 0),
    })),
    refuses: { buffer: 'student', message: /\bstudent: (only )?-Infinity in row 2/ },
  },
  {
    ...but('a label that is masked in row 2', () => ({
      rowWeights: null,
      labels: Int32Array.of(0, 1, 9, 2, 3),
      classMask: Uint8Array.of(1, 1, 1, 1, 1, 1, 1, 1, 1, 0),
    })),
    refuses: { buffer: 'labels', message: /\blabels: 9 in row 2/ },
  },
  {
    ...but('every class masked', () => ({ ...unlabelled, classMask: new Uint8Array(10) })),
    refuses: { buffer: 'classMask', message: /\bclassMask: 0 for every class/ },
  },
  {
    ...but('NaN in row 3', ({ student }) => ({ ...unlabelled, student: set(student, { 35: Number.NaN }) })),
    refuses: { buffer: 'student', message: /\bstudent: NaN in row 3/ },
  },
  {
    ...but('Infinity in row 0', ({ student }) => ({ ...unlabelled, student: set(student, { 0: inf }) })),
    refuses: { buffer: 'student', message: /\bstudent: Infinity in row 0/ },
  },
  {
    ...but('only -Infinity in row 2', ({ student }) => ({
      ...unlabelled,
      student: student.map((z, i) => (i >= 20 && i < 30 ? -inf : z)),
    })),
    refuses: { buffer: 'student', message: /\bstudent: (only )?-Infinity in row 2/ },
  },
  {
    ...but('teacher NaN in row 4', ({ teacher }) => ({ ...unlabelled, teacher: set(teacher, { 49: Number.NaN }) })),
    refuses: { buffer: 'teacher', message: /\bteacher: NaN in row 4/ },
  },
  {
    ...but('teacher Infinity in row 1', ({ teacher }) => ({ ...unlabelled, teacher: set(teacher, { 11: inf }) })),
    refuses: { buffer: 'teacher', message: /\bteacher: Infinity in row 1/ },
  },
  {
    ...but('label = C in row 1', () => ({ rowWeights: null, labels: Int32Array.of(0, 10, 1, 2, 3) })),
    refuses: { buffer: 'labels', message: /\blabels: 10 in row 1/ },
  },
  {
    ...but('label −2 in row 4', () => ({ rowWeights: null, labels: Int32Array.of(0, 9, 1, 2, -2) })),
    refuses: { buffer: 'labels', message: /\blabels: -2 in row 4/ },
  },
]

/** The rows on which every loss is judged. */
export const lossRows: readonly LossRowsCase[] = [...grid(), ...extremes, ...halfTeachers, ...masked, ...refused]
