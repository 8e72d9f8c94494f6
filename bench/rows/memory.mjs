import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { linearSoftTargetLoss, softTargetLoss, topKSoftTargetLoss } from '@imago/kernels'
import { tensor } from '@imago/tensor'
import { noise, writeNumbers } from '../harness/numbers.mjs'

/**
 * What one evaluation of the loss and its gradient takes at its peak, inputs and gradients included, in a process of its own: from logits
 * (the gradient in the student's place), against all of a teacher or against 128 classes of it, and from hidden states and the weights of two
 * heads. A vocabulary of 128,256.
 */
export const title = 'memory at the peak of one evaluation, inputs and gradients included'

const common = { classes: 128_256, temperature: 4, hardWeight: 0.1 }
/** Two copies of the logit matrix: the student's, whose place the gradient takes, and the teacher's. */
const asked = { copies: 2 }

export const cases = [1024, 8192].flatMap((rows) => [
  { name: `logits (${rows}, 128256)`, kind: 'logits', rows, ...common, asked, without: ['torch chunked'] },
  {
    name: `top-128 teacher (${rows}, 128256)`,
    kind: 'topk',
    rows,
    k: 128,
    ...common,
    asked: { copies: 1 },
    without: ['torch chunked'],
  },
  { name: `linear (${rows} × 512, 128256)`, kind: 'linear', rows, depth: 512, ...common },
])

/**
 * Of logits: `plain` is eager, `compiled` torch.compile of torch.func.grad_and_value. Of hidden states: F.linear and the loss; the same
 * compiled; and `chunked`: eager, 128 rows at a time, as fused kernels do it.
 */
export const variants = ['plain', 'compiled', 'chunked']
export const comparisons = []
export const compiled = ['compiled']
export const threads = [1]
/** Bytes of inputs and gradients alone, which nobody can do without. */
export function floor({ kind, rows, classes, depth, k }) {
  // The gradient takes the student's place; of two heads and the gradient of one, hidden states and weights.
  if (kind === 'topk') return 4 * rows * (classes + 2 * k)
  return kind === 'logits' ? 2 * 4 * rows * classes : 3 * 4 * depth * (rows + classes)
}

/**
 * About what a contender takes, in copies of the logit matrix beside the floor, as measured with 1,024 rows of this many classes: who needs more
 * than there is does not begin.
 */
const beside = {
  logits: { plain: 5, compiled: 2 },
  topk: { plain: 6, compiled: 3 },
  linear: { plain: 6.5, compiled: 1.6, chunked: 0.3 },
}
export function expected(settings, name) {
  const copies = beside[settings.kind][name.split(' ')[1]] ?? 0
  return floor(settings) + copies * 4 * settings.rows * settings.classes
}

/** Measured by harness/memory.mjs. */
export const measure = 'memory'

/** What so many numbers of this name are made of: a file that is read as often as it takes. */
const block = 1024 * 1024

export function write({ rows, classes, kind }, folder) {
  for (const [i, name] of ['student', 'teacher', 'hidden', 'weight', 'teacherHidden', 'teacherWeight'].entries())
    writeNumbers(folder, name, noise(i + 1, block, kind === 'linear' && name.endsWith('eight') ? 0.05 : 2))
  const labels = Int32Array.from(noise(9, rows, 1), (x) => Math.min(classes - 1, Math.floor(((x + 2) / 4) * classes)))
  writeNumbers(folder, 'labels', labels)
}

/** The mass of the classes that are not among the k of a teacher. */
const tail = 0.3

export function prepare({ kind, rows, classes, depth, k, temperature, hardWeight }, folder) {
  const matrix = (name, ...dims) => tensor('float32', dims, fill(folder, name, new Float32Array(dims[0] * dims[1])))
  const labels = tensor(
    'int32',
    [rows],
    fill(folder, 'labels', new Int32Array(rows)).map((label) => label % classes),
  )
  let evaluate
  if (kind === 'topk') {
    const student = matrix('student', rows, classes)
    // 997 and 128,256 have no common factor: the classes of a row are different.
    const indices = Int32Array.from({ length: rows * k }, (_, i) => ((i % k) * 997 + Math.floor(i / k)) % classes)
    const teacher = {
      indices: tensor('int32', [rows, k], indices),
      values: matrix('teacher', rows, k),
      logTail: tensor('float32', [rows], new Float32Array(rows).fill(Math.log(tail))),
    }
    const options = { student, teacher, labels, temperature, hardWeight, out: student }
    evaluate = () => ({ value: topKSoftTargetLoss(options).value, gradient: student })
  } else if (kind === 'logits') {
    const student = matrix('student', rows, classes)
    const options = {
      student,
      teacher: matrix('teacher', rows, classes),
      labels,
      temperature,
      hardWeight,
      out: student,
    }
    evaluate = () => ({ value: softTargetLoss(options).value, gradient: student })
  } else {
    const head = (hidden, weight) => ({
      hidden: matrix(hidden, rows, depth),
      weight: matrix(weight, classes, depth),
    })
    const student = head('hidden', 'weight')
    const options = { student, teacher: head('teacherHidden', 'teacherWeight'), labels, temperature, hardWeight }
    evaluate = () => {
      const { value, gradients } = linearSoftTargetLoss(options)
      return { value, gradient: gradients.hidden }
    }
  }
  return {
    run() {
      const { value, gradient } = evaluate()
      // Enough to see that all computed the same.
      return { value, gradient: Array.from(gradient.data.subarray(0, 4096)) }
    },
  }
}

/** Reads a file into memory that is there, again from its beginning until it is full. */
function fill(folder, name, data) {
  const file = openSync(join(folder, `${name}.bin`), 'r')
  const bytes = new Uint8Array(data.buffer)
  for (let at = 0; at < bytes.length; ) at += readSync(file, bytes, at, Math.min(4 * block, bytes.length - at), 0)
  closeSync(file)
  return data
}
