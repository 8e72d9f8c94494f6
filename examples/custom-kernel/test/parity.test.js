// The kernel against the reference, by the harness that judges imago's own kernels: its rows, its two memory layouts, its refusals.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { elements, largest, lossRows, parityOf } from '@imago/kernels/testing'
import { library } from '../src/index.js'
import { alphaDivergence } from '../src/reference.js'

const nan = (length, type) => new type(length).fill(Number.NaN)

/**
 * The harness's rows that this kernel answers for: a teacher in float32, no class masks, finite logits, and for α > 1 not too far apart,
 * where q·(p/q)^α leaves float64.
 */
function fits({ name, make, refuses }, alpha) {
  const { student, teacher, rowWeights, classMask, classes, temperature } = make()
  if (!(teacher instanceof Float32Array) || classMask) return false
  if (refuses) return ['student', 'teacher'].includes(refuses.buffer) && !/only -Infinity/.test(name)
  const counts = (i) => rowWeights === null || rowWeights[Math.floor(i / classes)] > 0
  if (temperature < 1e-3 || temperature > 1e3) return false
  const limit = alpha > 1 ? 40 * temperature : 1e31
  return [student, teacher].every((logits) => logits.every((x, i) => !counts(i) || Math.abs(x) < limit))
}

const cases = [0.5, 2].flatMap((alpha) =>
  lossRows
    .filter((one) => fits(one, alpha))
    .flatMap((one) =>
      [false, true].map((inPlace) => ({
        name: `${one.name}, α = ${alpha}${inPlace ? ', in place' : ''}`,
        make() {
          const { rows, classes, temperature, student, teacher, rowWeights } = one.make()
          const gradient = inPlace ? student : nan(student.length, Float32Array)
          return {
            buffers: [student, teacher, rowWeights, gradient, nan(1, Float64Array)],
            scalars: [rows, classes, temperature, alpha],
          }
        },
        ...(one.refuses && { refuses: one.refuses.message }),
      })),
    ),
)

/**
 * A relative error of 1e-6: of the value, and of the largest gradient in the row (0 where the row is left out). Added to what is measured by is what the reference
 * itself has lost where p and q agree: with ε = 1e-14, exponents x/T carry ε·x/T, and T or T² times that reaches the results.
 */
function judge(call, want, got) {
  const [rows, classes, T] = call.scalars
  const lost = 1e-8 * (T + largest(call.buffers[0], call.buffers[1]))
  const scale = Array.from({ length: rows }, (_, r) =>
    largest(want.buffers[3].subarray(r * classes, (r + 1) * classes)),
  )
  const gradientScale = (_, i) => {
    const row = Math.floor(i / classes)
    return call.buffers[2]?.[row] === 0 ? 0 : scale[row] + lost
  }
  return [
    elements('gradient', want.buffers[3], got.buffers[3], 'elementwise', gradientScale),
    elements('result', want.buffers[4], got.buffers[4], 'elementwise', (value) => Math.abs(value) + T * lost),
  ]
}

test('the kernel computes what the reference says', () => {
  const rows = parityOf(
    'alpha_divergence',
    { cases, judge, outputs: [3, 4] },
    alphaDivergence,
    library.kernel('alpha_divergence'),
  )
  assert.ok(rows.length > 500, `only ${rows.length} rows`)
  const failed = rows.filter(({ pass }) => !pass)
  assert.deepEqual(
    failed.map((row) => `${row.case} | ${row.output}: ${row.error} > ${row.tolerance}`),
    [],
  )
  console.log(`${rows.length} verdicts`)
})

test('refused with what to do: α = 1, T = 0, another shape', () => {
  const call = (scalars) =>
    library.call(
      'alpha_divergence',
      { student: new Float32Array(6), teacher: new Float32Array(6), result: new Float64Array(1) },
      { rows: 2, classes: 3, temperature: 1, alpha: 0.5, ...scalars },
    )
  call({})
  assert.throws(() => call({ alpha: 1 }), { code: 'ERR_KERNEL', message: /alpha must be in \(0, 8\] and not 1/ })
  assert.throws(() => call({ temperature: 0 }), { code: 'ERR_KERNEL', message: /temperature must be in/ })
  assert.throws(() => call({ classes: 4 }), {
    code: 'ERR_SHAPE',
    message: /"student" must be rows x classes = 8 elements/,
  })
  assert.throws(() => call({ beta: 1 }), { code: 'ERR_ARGUMENT', message: /of these names: rows, classes/ })
})
