import { describe, expect, test } from 'vitest'
import { type Kernel, reference } from '../src/reference/index.js'
import type { KernelName } from '../src/signatures.js'
import { type ParityRow, parityOf, parityTables, tolerances } from '../src/testing.js'

/** The cases that a wrong kernel fails, in words. */
function failed(rows: ParityRow[]): string {
  return rows
    .filter(({ pass }) => !pass)
    .map((row) => `${row.case}: ${row.output}`)
    .join('\n')
}

const soft = reference.soft_target_loss

/** Parity on the cases of ten classes, which is enough to find what follows. */
function parityAt(kernel: KernelName, implementation: Kernel): ParityRow[] {
  const table = parityTables[kernel]
  const cases = table.cases.filter(({ name }) => !/C=\d/.test(name) || name.includes('C=10 '))
  return parityOf(kernel, { ...table, cases }, reference[kernel], implementation)
}

test('the harness finds a kl_divergence that subtracts two float32 probabilities', () => {
  const f = Math.fround
  const softmaxOf = (logits: Float32Array, T: number): number[] => {
    const max = Math.max(...logits)
    const e = [...logits].map((x) => f(Math.exp(f((x - max) / T))))
    const sum = e.reduce((a, b) => f(a + b), 0)
    return e.map((x) => f(x / sum))
  }
  const textbook: Kernel = (buffers, scalars) => {
    const [student, teacher, weights, gradient] = buffers as Float32Array[]
    const [rows, classes, T] = scalars as [number, number, number]
    const z = student!.slice()
    reference.kl_divergence(buffers, scalars)
    const sum = weights?.reduce((a, b) => a + b, 0) ?? rows
    for (let r = 0; r < rows; r++) {
      const w = (weights?.[r] ?? 1) / sum
      if (!(w > 0) || !gradient) continue
      const q = softmaxOf(z.subarray(r * classes, (r + 1) * classes), T)
      const p = softmaxOf(teacher!.subarray(r * classes, (r + 1) * classes), T)
      for (let c = 0; c < classes; c++) gradient[r * classes + c] = (w * (q[c]! - p[c]!)) / T
    }
  }
  const found = failed(parityAt('kl_divergence', textbook))
  expect(found).toMatch(/C=10 T=1000 usual: gradient/)
  expect(found).toMatch(/C=10 T=1000000 usual: gradient/)
  expect(found).not.toMatch(/C=10 T=4 usual: gradient/)
})

describe('the harness finds a soft_target_loss that', () => {
  test.each<[string, RegExp, Kernel]>([
    [
      'leaves T² out',
      /T=4 usual: result/,
      (b, s) => {
        soft(b, s)
        ;(b[5] as Float64Array)[0]! /= s[2]! ** 2
      },
    ],
    [
      'forgets ignored rows',
      /gradient/,
      (b, s) => {
        soft(b, s)
        ;(b[4] as Float32Array | null)?.fill(1e-9)
      },
    ],
    [
      'divides by the number of rows',
      /tiny and huge weights/,
      (b, s) => {
        soft(b, s)
        ;(b[5] as Float64Array)[0]! /= s[0]! || 1
      },
    ],
    [
      'writes to its input',
      /wrote to the input at position 1/,
      (b, s) => {
        soft(b, s)
        b[1]?.fill(0 as never)
      },
    ],
    [
      'writes behind its end',
      /wrote outside a buffer/,
      (b, s) => {
        soft(b, s)
        const out = b[5] as Float64Array
        new Float64Array(out.buffer, out.byteOffset, 4)[3] = 1
      },
    ],
    [
      'takes NaN',
      /NaN in row 3: accepts/,
      (b, s) => {
        try {
          soft(b, s)
        } catch {}
      },
    ],
    [
      'writes to an input where it refuses',
      /refuses, but wrote to an input/,
      (b, s) => {
        try {
          soft(b, s)
        } catch (error) {
          ;(b[1] as Float32Array)[0] = 0.5
          throw error
        }
      },
    ],
    [
      'refuses without a row',
      /refuses with "bad input"/,
      (b, s) => {
        try {
          soft(b, s)
        } catch {
          throw new Error('bad input')
        }
      },
    ],
    [
      'refuses what it must take',
      /throws no/,
      () => {
        throw new Error('no')
      },
    ],
  ])('%s', (_, finds, wrong) => {
    expect(failed(parityAt('soft_target_loss', wrong))).toMatch(finds)
  })
})

test('the harness finds a wrong lane order, a shift the other way and a forgotten unit', () => {
  const swapped: Kernel = (b, s) => {
    reference.dropout_mask(b, s)
    ;(b[0] as Float32Array).reverse()
  }
  expect(failed(parityAt('dropout_mask', swapped))).toMatch(/n=1000 p=0.5/)
  const other: Kernel = (b, [n, planes, h, w, shift, k0, k1, block]) =>
    reference.jitter(b, [n!, planes!, h!, w!, shift!, k1!, k0!, block!])
  expect(failed(parityAt('jitter', other))).toMatch(/shift 2/)
  const unlimited: Kernel = (b, s) => reference.sgd(b, [...s.slice(0, 6), -1, 0])
  expect(failed(parityAt('sgd', unlimited))).toMatch(/max-norm by (row|column): parameter/)
})

describe('the harness finds a linear_soft_target_loss that', () => {
  const linear = reference.linear_soft_target_loss
  test.each<[string, RegExp, Kernel]>([
    [
      'forgets a row in the gradient of the weight',
      /50 x 33 x 40.*: weightGradient/,
      (b, s) => {
        const hidden = b[0]!.slice() as Float32Array
        linear(b, s)
        const rest = b.map((buffer) => buffer?.slice() ?? null)
        ;(rest[0] as Float32Array).set(hidden.fill(0, s[2]! * (s[0]! - 1)))
        linear(rest, s)
        b[10]?.set(rest[10] as never)
      },
    ],
    [
      'sums a gradient in half precision',
      /hiddenGradient/,
      (b, s) => {
        linear(b, s)
        const words = b[9] && new Uint32Array(b[9].buffer, b[9].byteOffset, b[9].length)
        words?.forEach((word, i) => {
          words[i] = word & 0xffff0000
        })
      },
    ],
    [
      'leaves the bias of the teacher out',
      /teacher's head: result\[1\]/,
      (b, s) => linear(Object.assign([...b], { 6: null }), s),
    ],
    [
      'takes the mean of the chunks',
      /chunks of 7.*: (result|biasGradient)/,
      (b, s) => {
        linear(b, s)
        const chunks = s[9] ? Math.ceil(s[0]! / s[9]) : 1
        for (const sums of [b[11], b[12]] as (Float32Array | null)[])
          sums?.set(sums.map((x) => x * (1 + 1e-3 * (chunks - 1))))
      },
    ],
  ])('%s', (_, finds, wrong) => {
    const table = parityTables.linear_soft_target_loss
    const cases = table.cases.filter(({ name }) => /50 x 33 x 40/.test(name))
    expect(failed(parityOf('linear', { ...table, cases }, linear, wrong))).toMatch(finds)
  })
})

test('every tolerance tells its story', () => {
  for (const { story } of Object.values(tolerances)) expect(story.length).toBeGreaterThan(20)
})
