import { softTarget } from '@imago/losses'
import { noise, readNumbers, writeNumbers } from '../harness/numbers.mjs'

/** The soft-target loss with labels alone, forward and gradient, from logits to dLoss/dlogits: T = 4, a = 0.1. */
export const title = 'soft-target loss and its gradient (T = 4, a = 0.1)'

export const cases = [
  [128, 10],
  [1024, 10],
  [256, 1000],
  [64, 32000],
].map(([rows, classes]) => ({ name: `(${rows}, ${classes})`, rows, classes, temperature: 4, hardWeight: 0.1 }))

/** As people write it; and, its best, as one compiled function that gives value and gradient (only where asked for). */
export const variants = ['eager', 'compiled']

export function write({ rows, classes }, folder) {
  writeNumbers(folder, 'student', noise(1, rows * classes, 3))
  writeNumbers(folder, 'teacher', noise(2, rows * classes, 3))
  const labels = Int32Array.from(noise(3, rows, 1), (x) => Math.min(classes - 1, Math.floor(((x + 2) / 4) * classes)))
  writeNumbers(folder, 'labels', labels)
}

export function prepare({ rows, classes, temperature, hardWeight }, folder) {
  const dims = [rows, classes]
  const student = { logits: { type: 'float32', dims, data: readNumbers(folder, 'student') } }
  const targets = {
    logits: { type: 'float32', dims, data: readNumbers(folder, 'teacher') },
    labels: { type: 'int32', dims: [rows], data: readNumbers(folder, 'labels', Int32Array) },
  }
  const loss = softTarget({ temperature, hardWeight })
  return {
    check() {
      const { value, cotangents } = loss.evaluate(student, targets)
      return { value, tensors: { gradient: cotangents.logits.data } }
    },
    run(iterations) {
      for (let i = 0; i < iterations; i++) loss.evaluate(student, targets)
    },
    outcome: () => loss.evaluate(student, targets).value,
  }
}
