import type { Rng } from '@imago/tensor'
import { drawFor } from '../draw.js'
import { elements } from '../judge.js'
import type { KernelCall, ParityCase, ParityTable } from '../parity-case.js'

/** Rows, classes, experts, the size of a set, active experts of a row, how far apart logits are. */
const shapes: readonly (readonly [number, number, number, number, number, number])[] = [
  [1, 2, 1, 1, 1, 1],
  [5, 3, 0, 0, 0, 1],
  [7, 10, 3, 4, 1, 2],
  [9, 10, 4, 9, 3, 2],
  [33, 62, 8, 12, 3, 3],
  [17, 100, 12, 10, 5, 4],
  [6, 100, 32, 20, 32, 1],
  [5, 1000, 10, 100, 5, 6],
  [4, 40, 4, 10, 4, 30],
]

function softmax(random: Rng, n: number, scale: number): number[] {
  const logits = Array.from({ length: n }, () => scale * random.normal())
  const most = Math.max(...logits)
  const powers = logits.map((z) => Math.exp(z - most))
  const sum = powers.reduce((total, e) => total + e, 0)
  return powers.map((e) => e / sum)
}

/** The first `count` of a shuffle. */
function some(random: Rng, from: number, count: number): number[] {
  const all = Array.from({ length: from }, (_, i) => i)
  for (let i = 0; i < count; i++) {
    const j = i + random.integer(from - i)
    ;[all[i], all[j]] = [all[j]!, all[i]!]
  }
  return all.slice(0, count)
}

function call(random: Rng, [rows, classes, experts, size, active, scale]: (typeof shapes)[number]): KernelCall {
  const sets = Array.from({ length: experts }, () => some(random, classes, size))
  const chosen = Array.from({ length: rows }, () => some(random, experts, active))
  const probabilities = chosen.flatMap((own) => own.flatMap(() => softmax(random, size + 1, scale)))
  return {
    buffers: [
      Float32Array.from(Array.from({ length: rows }, () => softmax(random, classes, scale)).flat()),
      Int32Array.from(sets, (_, m) => m * size),
      Int32Array.from(sets.flat()),
      Int32Array.from(chosen, (_, r) => r * active),
      Int32Array.from(chosen.flat()),
      Int32Array.from(chosen.flat(), (_, a) => a * (size + 1)),
      Float32Array.from(probabilities),
      new Float32Array(rows * classes),
      new Int32Array(rows),
      new Float64Array(rows),
    ],
    scalars: [rows, classes, experts, experts * size, rows * active, probabilities.length, 100],
  }
}

const cases: ParityCase[] = shapes.map((shape) => {
  const name = `${shape[0]}×${shape[1]}, ${shape[4]} of ${shape[2]} experts of ${shape[3]}, scale ${shape[5]}`
  return { name, make: () => call(drawFor(name), shape) }
})

/** A good call in which one thing is changed. */
function broken(
  name: string,
  refuses: RegExp,
  change: (buffers: KernelCall['buffers']) => void,
  steps = 100,
): ParityCase {
  const make = (): KernelCall => {
    const { buffers, scalars } = call(drawFor(name), [4, 6, 2, 2, 2, 1])
    change(buffers)
    return { buffers, scalars: [...scalars.slice(0, 6), steps] }
  }
  return { name, make, refuses }
}
const set = (buffers: KernelCall['buffers'], buffer: number, at: number, value: number): void => {
  ;(buffers[buffer] as Float32Array)[at] = value
}

const refusals: ParityCase[] = [
  broken('NaN of the generalist', /general: -?nan in row 2/i, (b) => set(b, 0, 13, Number.NaN)),
  broken('a sum of 2', /general: \S+ as the sum in row 0/, (b) => set(b, 0, 0, 2)),
  broken('a negative probability', /probabilities: -0.1\d* in row 3/, (b) => set(b, 6, 18, -0.1)),
  broken('a class twice', /setClasses: expert 1 has class \d twice/, (b) => set(b, 2, 3, (b[2] as Int32Array)[2]!)),
  broken('no step', /mostSteps must be in/, () => {}, 0),
]

export const solveEq5Table: ParityTable = {
  cases: [...cases, ...refusals],
  judge: (_, want, got) => [
    elements('q', want.buffers[7] as Float32Array, got.buffers[7] as Float32Array, 'probability'),
    elements('residual', new Float64Array(want.buffers[9]!.length), got.buffers[9] as Float64Array, 'multiplier'),
  ],
  outputs: [7, 8, 9],
}
