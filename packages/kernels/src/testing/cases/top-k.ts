import { encodeBfloat16, encodeFloat16 } from '../../half.js'
import { logSoftmaxRow } from '../../reference/log-softmax-row.js'
import { decoded } from '../../reference/rows.js'
import type { KernelCall, ParityCase, ParityTable } from '../parity-case.js'
import { type LossRows, lossRows } from './loss-rows.js'
import { everyWay, gradientOf, judgeOf, values } from './rows-table.js'

/** How the k classes of the teacher are told. */
interface Telling {
  readonly name: string
  readonly k: (classes: number) => number
  readonly type: 0 | 1 | 2
  readonly tail: boolean
  readonly logits: boolean
}

const tellings: readonly Telling[] = [
  { name: '3 log-probabilities', k: (c) => Math.min(3, c), type: 0, tail: false, logits: false },
  { name: '1 logit and the tail', k: () => 1, type: 0, tail: true, logits: true },
  { name: '16 float16 log-probabilities', k: (c) => Math.min(16, c), type: 1, tail: false, logits: false },
  { name: 'all log-probabilities', k: (c) => c, type: 0, tail: false, logits: false },
  { name: '5 bfloat16 log-probabilities and the tail', k: (c) => Math.min(5, c), type: 2, tail: true, logits: false },
  { name: 'all but one bfloat16 log-probabilities', k: (c) => Math.max(1, c - 1), type: 2, tail: false, logits: false },
]

function callOf(rows: LossRows, { k: kOf, type, tail, logits }: Telling): KernelCall {
  const { classes, temperature, rowWeights, labels, classMask } = rows
  const teacher = decoded(rows.teacher, rows.teacherType)
  const kept = Array.from({ length: classes }, (_, c) => c).filter((c) => classMask?.[c] !== 0)
  const k = Math.max(1, kOf(kept.length))
  // What stands in rows that do not count must not matter.
  const indices = new Int32Array(rows.rows * k).fill(-5)
  const told = new Float32Array(rows.rows * k).fill(Number.NaN)
  const tails = new Float64Array(rows.rows).fill(7)
  for (let r = 0; r < rows.rows; r++) {
    if (rowWeights?.[r] === 0 || labels?.[r] === -100) continue
    const row = Float32Array.from(kept, (c) => teacher[r * classes + c]!)
    const logP = new Float64Array(row.length)
    logSoftmaxRow(row, temperature, logP)
    const order = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b)
    const [top, others] = [order.slice(0, k), order.slice(k)]
    // In any order.
    for (const [j, i] of top.reverse().entries()) {
      indices[r * k + j] = kept[i]!
      told[r * k + j] = logits ? row[i]! : logP[i]!
    }
    tails[r] = Math.min(0, Math.log(others.reduce((sum, i) => sum + Math.exp(logP[i]!), 0)))
  }
  const encode = type === 1 ? encodeFloat16 : encodeBfloat16
  return {
    buffers: [
      rows.student,
      indices,
      type === 0 ? told : Uint16Array.from(told, encode),
      tail ? tails : null,
      labels,
      rowWeights,
      gradientOf(rows),
      values(3),
      classMask,
    ],
    scalars: [rows.rows, classes, k, temperature, rows.hardWeight, -100, type, logits ? 1 : 0],
  }
}

function cases(): ParityCase[] {
  const all: ParityCase[] = []
  for (const rows of lossRows) {
    const { name, refuses } = rows
    // Beyond T = 1e6 rounded log-probabilities say nothing of a teacher.
    if (/T = \d+e|at T = 1e30/.test(name) || refuses?.buffer === 'teacher') continue
    // A teacher's NaN stands in rows that do not count; every telling in turn.
    const telling = tellings[all.length % tellings.length]!
    const make = (): KernelCall => callOf(rows.make(), telling)
    all.push({ name: `${name}, ${telling.name}`, make, ...(refuses && { refuses: refuses.message }) })
  }
  return all
}

const inf = Number.POSITIVE_INFINITY

/** Five rows of ten classes with a teacher that is wrong in some way. */
function wrong(
  name: string,
  refuses: RegExp,
  change: (teacher: { indices: Int32Array; told: Float32Array; tails: Float64Array }) => void,
  telling: Partial<Telling> = {},
): ParityCase {
  const usual = lossRows.find((rows) => rows.name === 'no weights')!
  return {
    name,
    refuses,
    make: () => {
      const rows = { ...usual.make(), labels: null, hardWeight: 0 }
      const { buffers, scalars } = callOf(rows, { ...tellings[0]!, tail: true, ...telling })
      const [, indices, told, tails] = buffers as [null, Int32Array, Float32Array, Float64Array]
      change({ indices, told, tails })
      return { buffers, scalars }
    },
  }
}

const refused: ParityCase[] = [
  wrong('index = C', /indices: 10 in row 1 is not a class/, ({ indices }) => indices.fill(10, 4, 5)),
  wrong('index −1', /indices: -1 in row 0 is not a class/, ({ indices }) => indices.fill(-1, 2, 3)),
  wrong('a class twice', /indices: 4 in row 3 is there twice/, ({ indices }) => indices.set([4, 2, 4], 9)),
  wrong('a value that is NaN', /values: NaN in row 4/, ({ told }) => told.fill(Number.NaN, 13, 14)),
  wrong('a value of ∞', /values: Infinity in row 2/, ({ told }) => told.fill(inf, 6, 7)),
  wrong('a tail above 1', /logTail: 0.5 in row 2/, ({ tails }) => tails.fill(0.5, 2, 3)),
  wrong('a tail that is NaN', /logTail: \S+ in row 0/i, ({ tails }) => tails.fill(Number.NaN, 0, 1)),
  wrong('probabilities above 1', /values: [\d.]+ as the sum .* in row 1/, ({ told }) => told.fill(-0.5, 3, 6), {
    tail: false,
  }),
  wrong('no mass at all', /values: only -Infinity in row 3/, ({ told }) => told.fill(-inf, 9, 12)),
  wrong('logits without a tail', /logTail/, () => {}, { tail: false, logits: true }),
]

export const topKSoftTargetLossTable: ParityTable = {
  cases: [...everyWay(cases(), 6, /a million classes|128256|C=4099|many rows/), ...refused],
  judge: judgeOf({ labels: 4, rowWeights: 5, ignoreIndex: 5, temperature: 3 }, 6, 7, ({ scalars }) => [
    scalars[4]!,
    0,
    1,
  ]),
  outputs: [6, 7],
}
