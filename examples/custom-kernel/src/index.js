import { loadKernels } from '@imago/kernels'
import { dims, tensor, tensorMap, zeros } from '@imago/tensor'

/** The kernels of this package, as `npm run build` or `npm run build:cmake` left them. */
export const library = loadKernels(new URL('../build/alpha_divergence.so', import.meta.url))

/**
 * Σ w·T²·D_α(softmax(v/T) ‖ softmax(z/T)) / Σ w in nats (Wang et al. 2021, "AlphaNet", §3), and its gradient with respect to the
 * student's logits z.
 *
 * @param {object} options
 * @param {import('@imago/tensor').Tensor} options.student logits [N, C], float32
 * @param {import('@imago/tensor').Tensor} options.teacher logits [N, C], float32
 * @param {number} options.alpha in (0, 8], not 1: above 1 the student is held to cover the teacher, below 1 to stay within it
 * @param {number} [options.temperature] T in [1e-3, 1e6]; 1 unless given
 * @param {import('@imago/tensor').Tensor} [options.rowWeights] [N], float32, ≥ 0; a row of weight 0 is not read
 * @param {import('@imago/tensor').Tensor} [options.out] memory for the gradient; may be the student
 * @returns {{ value: number, gradient: import('@imago/tensor').Tensor<'float32'> }}
 * @throws ShapeError, ArgumentError, NumericError naming the row of a logit that is not finite, ImagoError for α and T out of range
 */
export function alphaDivergence({ student, teacher, alpha, temperature = 1, rowWeights, out }) {
  const { N, C } = dims('alphaDivergence', {
    student: [student, 'N C', 'float32'],
    teacher: [teacher, 'N C', 'float32'],
    rowWeights: [rowWeights, 'N', 'float32'],
    out: [out, 'N C', 'float32'],
  })
  const gradient = out ?? zeros('float32', [N, C])
  const result = new Float64Array(1)
  library.call(
    'alpha_divergence',
    { student: student.data, teacher: teacher.data, rowWeights: rowWeights?.data, gradient: gradient.data, result },
    { rows: N, classes: C, temperature, alpha },
  )
  return { value: result[0], gradient }
}

/**
 * The same as a loss of `distill`: it reads the student's output and the teacher's logits by name, and weights where there are some.
 *
 * @param {{ alpha: number, temperature?: number, output?: string }} options
 * @returns {import('@imago/losses').Loss}
 */
export function alphaLoss({ alpha, temperature = 1, output = 'logits' }) {
  let memory = new Float32Array(0)
  return {
    needs: { student: [output], targets: ['logits'] },
    evaluate(students, targets) {
      const student = students[output]
      if (memory.length < student.data.length) memory = new Float32Array(student.data.length)
      const { value, gradient } = alphaDivergence({
        student,
        teacher: targets.logits,
        alpha,
        temperature,
        rowWeights: targets.weights,
        out: tensor('float32', student.dims, memory.subarray(0, student.data.length)),
      })
      return { value, parts: { alpha: value }, cotangents: tensorMap([[output, gradient]]) }
    },
  }
}
