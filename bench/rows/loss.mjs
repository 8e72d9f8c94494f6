import { softTargetLoss } from '@imago/kernels'
import { tensor } from '@imago/tensor'
import { noise, readNumbers, toBfloat16, writeNumbers } from '../harness/numbers.mjs'

/** Soft targets and labels together, from logits to the value and dvalue/dlogits, the gradient into memory that is there. */
export const title = 'soft-target loss and its gradient (T = 4, a = 0.1)'

const gv = (atLeast) => ({ of: 'imago', than: 'torch gv', atLeast })
const avx2 = { of: 'imago avx2', than: 'torch gv', atLeast: 5 }
const stream = { of: 'imago', than: 'triad', atLeast: 0.85 }

export const cases = [
  { rows: 128, classes: 10 },
  { rows: 1024, classes: 10, asked: [gv(20)] },
  { rows: 256, classes: 1000, asked: [gv(12), avx2, stream] },
  { rows: 256, classes: 14_000, asked: [gv(10), avx2, stream] },
  { rows: 64, classes: 32_000, asked: [gv(10), avx2, stream] },
  { rows: 16, classes: 128_256, asked: [gv(9), avx2, stream] },
  { rows: 256, classes: 1000, teacherType: 'bfloat16' },
  { rows: 64, classes: 32_000, teacherType: 'bfloat16' },
].map((settings) => {
  const { rows, classes, teacherType = 'float32' } = settings
  const half = teacherType === 'bfloat16'
  const name = `(${rows}, ${classes})${half ? ', bf16 teacher' : ''}`
  // The triad moves three float32 arrays.
  return {
    name,
    temperature: 4,
    hardWeight: 0.1,
    ...settings,
    teacherType,
    ...(half && { without: ['triad', 'triad NT'] }),
  }
})

/**
 * As people write it; `torch.compile` of that and `.backward()`; and the strongest, `gv`: `torch.compile` of
 * `torch.func.grad_and_value`, one graph for both and no autograd engine.
 */
export const variants = ['eager', 'compile', 'gv']
/** What --quick leaves out. */
export const compiled = ['compile', 'gv']
/** Instruction sets that take part besides the one that the processor gets. */
export const isas = ['avx2']
/** The same bytes with hardly any arithmetic: reads two arrays, writes one; with ordinary and with non-temporal stores. */
export const yardsticks = ['triad', 'triad NT']
export const comparisons = [
  { of: 'imago', than: 'torch eager' },
  { of: 'imago', than: 'torch compile' },
  gv(),
  avx2,
  stream,
]
/** One thread is what is compared. */
export const threads = [1]

export function write({ rows, classes, teacherType }, folder) {
  writeNumbers(folder, 'student', noise(1, rows * classes, 3))
  const teacher = noise(2, rows * classes, 3)
  writeNumbers(folder, 'teacher', teacherType === 'bfloat16' ? toBfloat16(teacher) : teacher)
  const labels = Int32Array.from(noise(3, rows, 1), (x) => Math.min(classes - 1, Math.floor(((x + 2) / 4) * classes)))
  writeNumbers(folder, 'labels', labels)
}

export function prepare({ rows, classes, teacherType, temperature, hardWeight }, folder) {
  const dims = [rows, classes]
  const out = tensor('float32', dims, new Float32Array(rows * classes))
  const teacher = readNumbers(folder, 'teacher', teacherType === 'bfloat16' ? Uint16Array : Float32Array)
  const options = {
    student: tensor('float32', dims, readNumbers(folder, 'student')),
    teacher: tensor(teacherType, dims, teacher),
    labels: tensor('int32', [rows], readNumbers(folder, 'labels', Int32Array)),
    temperature,
    hardWeight,
    out,
  }
  return {
    check: () => ({ value: softTargetLoss(options).value, tensors: { gradient: out.data } }),
    run(iterations) {
      for (let i = 0; i < iterations; i++) softTargetLoss(options)
    },
    outcome: () => softTargetLoss(options).value,
  }
}
