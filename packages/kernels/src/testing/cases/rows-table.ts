import type { KernelBuffer } from '../../binding.js'
import { type LossFacts, lossGradient, lossValue } from '../judge-loss.js'
import type { Judge, KernelCall, ParityCase } from '../parity-case.js'
import { type LossRows, type LossRowsCase, lossRows } from './loss-rows.js'

/** Cases of one kernel from the common rows: which buffers it reads, and the call. */
export function casesOf(
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

/** Cases, also in place and once without gradient; `heavy`: which are not worth a second time in place. */
export function everyWay(cases: ParityCase[], gradientAt: number, heavy: RegExp = /a million classes/): ParityCase[] {
  const one = cases.find(({ name }) => name === 'many rows') ?? cases[0]!
  const light = cases.filter(({ name }) => !heavy.test(name))
  return [...cases, ...inPlace(light, gradientAt), withoutGradient(one, gradientAt)]
}

/** Where the judge finds what it needs in a kernel's call. */
export interface Places {
  readonly labels?: number
  readonly rowWeights: number
  readonly ignoreIndex?: number
  readonly temperature?: number
  /** The power of T that the results would need not to fall with T: 2 for what is quadratic in p − q. */
  readonly missing?: 1 | 2
  readonly tolerance?: LossFacts['tolerance']
}

export function factsOf({ buffers, scalars }: KernelCall, places: Places): LossFacts {
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
    factor: temperature ** (places.missing ?? 0),
    tolerance: places.tolerance,
  }
}

export function judgeOf(
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

export function gradientOf({ student }: LossRows): Float32Array {
  return new Float32Array(student.length).fill(Number.NaN)
}

/** Where values go. */
export const values = (count: number): Float64Array => new Float64Array(count).fill(Number.NaN)

/** The call of a kernel that compares a student with a teacher; its scalars are rows, classes, `own`, teacherType. */
export function comparison(rows: LossRows, ...own: number[]): KernelCall {
  return {
    buffers: [rows.student, rows.teacher, rows.rowWeights, gradientOf(rows), values(1), rows.classMask],
    scalars: [rows.rows, rows.classes, ...own, rows.teacherType],
  }
}
