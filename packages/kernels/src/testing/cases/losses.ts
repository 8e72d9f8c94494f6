import type { KernelBuffer } from '../../binding.js'
import { drawFor, halves } from '../draw.js'
import { elements, largest } from '../judge.js'
import { type LossFacts, lossGradient, lossValue } from '../judge-loss.js'
import type { Judge, KernelCall, ParityCase, ParityTable } from '../parity-case.js'
import { type LossRows, type LossRowsCase, lossRows } from './loss-rows.js'

/** Cases of one kernel from the common rows: which buffers it reads, and the call. */
function casesOf(
  reads: readonly string[],
  call: (rows: LossRows) => KernelCall,
  only?: (rows: LossRowsCase) => boolean,
): ParityCase[] {
  const cases: ParityCase[] = []
  for (const rows of lossRows) {
    if (only && !only(rows)) continue
    if (rows.refuses && !reads.includes(rows.refuses.buffer)) continue
    const refuses = rows.refuses ? { refuses: rows.refuses.message } : {}
    cases.push({ name: rows.name, make: () => call(rows.make()), ...refuses })
  }
  return cases
}

/** The same call with the gradient in the student's own memory. */
function inPlace(cases: readonly ParityCase[], gradientAt: number): ParityCase[] {
  return cases.map((one) => ({
    ...one,
    name: `${one.name}, in place`,
    make: () => {
      const { buffers, scalars } = one.make()
      return { buffers: buffers.map((buffer, i) => (i === gradientAt ? buffers[0]! : buffer)), scalars }
    },
  }))
}

function withoutGradient(one: ParityCase, gradientAt: number): ParityCase {
  return {
    ...one,
    name: `${one.name}, value only`,
    make: () => {
      const { buffers, scalars } = one.make()
      return { buffers: buffers.map((buffer, i) => (i === gradientAt ? null : buffer)), scalars }
    },
  }
}

function everyWay(cases: ParityCase[], gradientAt: number): ParityCase[] {
  const one = cases.find(({ name }) => name === 'many rows') ?? cases[0]!
  return [...cases, ...inPlace(cases, gradientAt), withoutGradient(one, gradientAt)]
}

/** Where the judge finds what it needs in a kernel's call. */
interface Places {
  readonly labels?: number
  readonly rowWeights: number
  readonly ignoreIndex?: number
  readonly temperature?: number
  /** T² is left out of the results. */
  readonly bare?: boolean
}

function factsOf({ buffers, scalars }: KernelCall, places: Places): LossFacts {
  const [rows, classes] = scalars as [number, number]
  const labels = places.labels === undefined ? null : (buffers[places.labels] as Int32Array | null)
  const rowWeights = buffers[places.rowWeights] as Float32Array | null
  const ignoreIndex = places.ignoreIndex === undefined ? Number.NaN : scalars[places.ignoreIndex]!
  const shares = Float64Array.from({ length: rows }, (_, r) =>
    labels !== null && labels[r] === ignoreIndex ? 0 : (rowWeights?.[r] ?? 1),
  )
  const sum = shares.reduce((a, b) => a + b, 0)
  const temperature = places.temperature === undefined ? 1 : scalars[places.temperature]!
  return {
    rows,
    classes,
    temperature,
    shares: shares.map((w) => (w === 0 ? 0 : w / sum)),
    factor: places.bare ? temperature ** 2 : 1,
  }
}

function judgeOf(
  places: Places,
  gradientAt: number,
  resultAt: number,
  shareOfHard: (call: KernelCall) => number[],
): Judge {
  return (call, want, got) => {
    const facts = factsOf(call, places)
    const at = <T extends KernelBuffer>({ buffers }: KernelCall, i: number): T => buffers[i] as T
    const verdicts = shareOfHard(call).map((a, i) =>
      lossValue(`result[${i}]`, facts, a, at<Float64Array>(want, resultAt)[i]!, at<Float64Array>(got, resultAt)[i]!),
    )
    if (at(want, gradientAt) === null) return verdicts
    return [...verdicts, lossGradient(facts, at<Float32Array>(want, gradientAt), at<Float32Array>(got, gradientAt))]
  }
}

function gradientOf({ student }: LossRows): Float32Array {
  return new Float32Array(student.length).fill(Number.NaN)
}

const softTarget = casesOf(['student', 'teacher', 'labels'], (rows) => ({
  buffers: [
    rows.student,
    rows.teacher,
    rows.labels,
    rows.rowWeights,
    gradientOf(rows),
    new Float64Array(3).fill(Number.NaN),
  ],
  scalars: [rows.rows, rows.classes, rows.temperature, rows.hardWeight, -100, 0],
}))

/** Teachers in half precision, of both layouts, with −∞ and denormals among them. */
const halfTeachers: ParityCase[] = ([10, 7] as const).flatMap((fractionBits) =>
  [10, 1000].map((classes) => {
    const name = `${fractionBits === 10 ? 'float16' : 'bfloat16'} teacher C=${classes}`
    const make = (): KernelCall => {
      const rows = 6
      const random = drawFor(name)
      const teacher = halves(random, rows * classes, fractionBits)
      teacher.set([fractionBits === 10 ? 0xfc00 : 0xff80, 0x0001, 0x8000], 1)
      const student = Float32Array.from({ length: rows * classes }, () => 3 * random.normal())
      const gradient = new Float32Array(rows * classes)
      return {
        buffers: [student, teacher, null, null, gradient, new Float64Array(3)],
        scalars: [rows, classes, 4, 0, -100, fractionBits === 10 ? 1 : 2],
      }
    }
    return { name, make }
  }),
)

export const softTargetLossTable: ParityTable = {
  cases: everyWay([...softTarget, ...halfTeachers], 4),
  judge: judgeOf({ labels: 2, rowWeights: 3, ignoreIndex: 4, temperature: 2 }, 4, 5, ({ scalars }) => [
    scalars[3]!,
    0,
    1,
  ]),
  outputs: [4, 5],
}

const smoothings = [0, 0.1, 1]

export const crossEntropyTable: ParityTable = {
  cases: everyWay(
    smoothings.flatMap((smoothing) =>
      casesOf(
        ['student', 'labels'],
        (rows) => ({
          buffers: [
            rows.student,
            rows.labels ?? new Int32Array(rows.rows).fill(-1),
            rows.rowWeights,
            gradientOf(rows),
            new Float64Array(1).fill(Number.NaN),
          ],
          scalars: [rows.rows, rows.classes, smoothing, -100],
        }),
        // One temperature is enough where there is none.
        ({ name }) => !/T=/.test(name) || / T=1 /.test(name),
      ).map((one) => ({ ...one, name: `${one.name}, smoothing ${smoothing}` })),
    ),
    3,
  ),
  judge: judgeOf({ labels: 1, rowWeights: 2, ignoreIndex: 3 }, 3, 4, () => [1]),
  outputs: [3, 4],
}

export const klDivergenceTable: ParityTable = {
  cases: everyWay(
    casesOf(['student', 'teacher'], (rows) => ({
      buffers: [rows.student, rows.teacher, rows.rowWeights, gradientOf(rows), new Float64Array(1).fill(Number.NaN)],
      scalars: [rows.rows, rows.classes, rows.temperature],
    })).filter(({ name }) => name !== 'NaN in rows left out by label'),
    3,
  ),
  judge: judgeOf({ rowWeights: 2, temperature: 2, bare: true }, 3, 4, () => [0]),
  outputs: [3, 4],
}

/** Cases that mean something without temperature and without −∞; what must be refused stays. */
function finiteOnly(one: LossRowsCase): boolean {
  if (/T=/.test(one.name)) return / T=1 /.test(one.name)
  // The squares of these overflow float32, which a kernel may refuse.
  if (/±1e30|all of float32/.test(one.name)) return false
  const { student, teacher, rowWeights, classes } = one.make()
  const finite = (values: Float32Array): boolean =>
    values.every((value, i) => Number.isFinite(value) || rowWeights?.[Math.floor(i / classes)] === 0)
  return one.refuses !== undefined || (finite(student) && finite(teacher))
}

export const logitRegressionTable: ParityTable = {
  cases: everyWay(
    [0, 1].flatMap((zeroMean) =>
      casesOf(
        ['student', 'teacher'],
        (rows) => ({
          buffers: [
            rows.student,
            rows.teacher,
            rows.rowWeights,
            gradientOf(rows),
            new Float64Array(1).fill(Number.NaN),
          ],
          scalars: [rows.rows, rows.classes, zeroMean],
        }),
        finiteOnly,
      ).map((one) => ({ ...one, name: `${one.name}, ${zeroMean ? 'zero mean' : 'as they are'}` })),
    ),
    3,
  ),
  judge: (call, want, got) => {
    const [student, teacher] = call.buffers as [Float32Array, Float32Array]
    const scale = largest(student, teacher)
    const shares = factsOf(call, { rowWeights: 2 }).shares
    const classes = call.scalars[1]!
    const value = elements('result[0]', want.buffers[4] as Float64Array, got.buffers[4] as Float64Array, 'lossValue')
    if (want.buffers[3] === null) return [value]
    const gradient = elements(
      'gradient',
      want.buffers[3] as Float32Array,
      got.buffers[3] as Float32Array,
      'elementwise',
      (_, i) => shares[Math.floor(i / classes)]! * scale,
    )
    return [value, gradient]
  },
  outputs: [3, 4],
}
