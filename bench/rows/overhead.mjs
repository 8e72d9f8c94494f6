import { native, signatures } from '@imago/kernels'
import { readNumbers } from '../harness/numbers.mjs'
import * as loss from './loss.mjs'

/** What a call costs more from JavaScript than from C++: the loss at shapes that take microseconds, and of no rows at all. */
export const title = 'a call of softTargetLoss from JavaScript, and of the same kernel from C++'

/** 1 µs over the C++ call. */
const asked = [
  { of: 'imago', minus: 'C++', atMost: 0.001 },
  { of: 'imago door', minus: 'C++', atMost: 0.001 },
]
export const cases = [0, 1, 128].map((rows) => ({
  name: `(${rows}, 10)`,
  rows,
  classes: 10,
  teacherType: 'float32',
  temperature: 4,
  hardWeight: 0.1,
  asked,
}))

/** `door`: the addon's function alone, without the checks of `softTargetLoss` and the objects that it makes. */
export const ways = ['door']
export const yardsticks = ['C++']
export const comparisons = asked.map(({ of, minus }) => ({ of, minus }))
export const threads = [1]
export const { write } = loss

export function prepare(settings, folder, { variant }) {
  if (variant !== 'door') return loss.prepare(settings, folder)
  const { rows, classes, temperature, hardWeight } = settings
  const { binding } = native()
  if (binding === null) throw new Error('there is no addon')
  const gradient = new Float32Array(rows * classes)
  const result = new Float64Array(3)
  const named = {
    student: readNumbers(folder, 'student'),
    teacher: readNumbers(folder, 'teacher'),
    labels: readNumbers(folder, 'labels', Int32Array),
    gradient,
    result,
  }
  const inputs = signatures.soft_target_loss.buffers.map((spec) => named[/^\w+/.exec(spec)[0]] ?? null)
  const scalars = Float64Array.of(rows, classes, temperature, hardWeight, -100, 0)
  const call = () => binding.functions.soft_target_loss(scalars, ...inputs)
  return {
    check() {
      call()
      return { value: result[0], tensors: { gradient } }
    },
    run(iterations) {
      for (let i = 0; i < iterations; i++) call()
    },
    outcome() {
      call()
      return result[0]
    },
  }
}
