// The reference against what is known of the α-divergence from elsewhere.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rng } from '@imago/tensor'
import { alphaDivergence } from '../src/reference.js'

const random = rng(1)
const classes = 7
const logits = () => Float32Array.from({ length: classes }, () => 2 * random.normal())
const [student, teacher] = [logits(), logits()]

function softmax(x, T) {
  const e = Array.from(x, (v) => Math.exp(v / T))
  const sum = e.reduce((a, b) => a + b, 0)
  return e.map((v) => v / sum)
}

function divergence(z, v, T, alpha, gradient = null) {
  const result = new Float64Array(1)
  alphaDivergence([z, v, null, gradient, result], [1, classes, T, alpha])
  return result[0]
}

const close = (got, want, tolerance) =>
  assert.ok(Math.abs(got - want) <= tolerance * Math.abs(want), `${got} ≠ ${want}`)

for (const T of [1, 3]) {
  const [q, p] = [softmax(student, T), softmax(teacher, T)]
  const sum = (term) => p.reduce((total, _, c) => total + term(p[c], q[c]), 0)
  test(`α = 1/2 is four times the squared Hellinger distance, T = ${T}`, () =>
    close(divergence(student, teacher, T, 0.5), T * T * 2 * sum((a, b) => (Math.sqrt(a) - Math.sqrt(b)) ** 2), 1e-12))
  test(`α = 2 is half of χ², T = ${T}`, () =>
    close(divergence(student, teacher, T, 2), T * T * 0.5 * sum((a, b) => (a - b) ** 2 / b), 1e-12))
  test(`α → 1 is KL(p ‖ q) and α → 0 is KL(q ‖ p), T = ${T}`, () => {
    close(divergence(student, teacher, T, 1 + 1e-6), T * T * sum((a, b) => a * Math.log(a / b)), 1e-4)
    close(divergence(student, teacher, T, 1e-6), T * T * sum((a, b) => b * Math.log(b / a)), 1e-4)
  })
  test(`the gradient is that of finite differences, T = ${T}`, () => {
    for (const alpha of [0.3, 0.5, 1.5, 3]) {
      const gradient = new Float64Array(classes)
      divergence(student, teacher, T, alpha, gradient)
      for (let c = 0; c < classes; c++) {
        const at = (h) => {
          const z = Float64Array.from(student)
          z[c] += h
          return divergence(z, teacher, T, alpha)
        }
        const slope = (at(1e-4) - at(-1e-4)) / 2e-4
        assert.ok(Math.abs(gradient[c] - slope) <= 1e-6 * (1 + Math.abs(slope)), `${alpha}: ${gradient[c]} ≠ ${slope}`)
      }
    }
  })
}
