import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { native } from '../src/loader/load.js'
import { reference } from '../src/reference/index.js'
import { drawFor, normals } from '../src/testing/draw.js'
import { type ParityCase, parityOf, parityTables } from '../src/testing.js'

const { binding } = native()
const isas = binding?.info().available ?? []
if (binding === null) console.log('skipped: accuracy of native kernels, no addon')

/**
 * Students anywhere between a copy of the teacher and a stranger to it: where a kernel may choose between a fast form and a
 * careful one, both sides of the choice and the edge between them.
 */
const situation = fc.record({
  classes: fc.constantFrom(1, 2, 3, 5, 10, 17, 64, 100, 128, 129, 130, 143, 144, 145, 200, 257, 1000, 1001, 2049),
  temperature: fc.constantFrom(1e-3, 0.1, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 20, 50, 1e3, 1e4, 1e6),
  scale: fc.double({ min: -1, max: 2, noNaN: true }).map((x) => 10 ** x),
  distance: fc.double({ min: -4, max: 1, noNaN: true }).map((x) => 10 ** x),
  offset: fc.constantFrom(0, 0, 0, 7.3, 1000),
  /** How far the label's class stands out in both: a sure teacher and a sure student. */
  lead: fc.constantFrom(0, 0, 3, 9, 20),
  hardWeight: fc.constantFrom(0, 0.1, 0.5, 1),
  /** The classes that there are: all, the first ones (a padded vocabulary), or some. */
  mask: fc.constantFrom('all', 'all', 'first', 'some'),
  /** Rows that are left out by weight. */
  weighted: fc.boolean(),
  teacher: fc.constantFrom(0, 0, 2),
  seed: fc.nat(),
})

function caseOf(s: typeof situation extends fc.Arbitrary<infer T> ? T : never): ParityCase {
  const rows = s.classes > 500 ? 2 : s.classes > 128 ? 5 : 35
  const name = JSON.stringify(s)
  return {
    name,
    make: () => {
      const random = drawFor(name)
      const count = Math.max(1, Math.ceil(s.classes * 0.7))
      const isClass = (c: number): boolean => s.mask === 'all' || (s.mask === 'first' ? c < count : c % 3 !== 1)
      const classMask = s.mask === 'all' ? null : Uint8Array.from({ length: s.classes }, (_, c) => Number(isClass(c)))
      const full = normals(random, rows * s.classes, s.scale)
      const labels = Int32Array.from({ length: rows }, () => {
        const label = random.integer(s.classes)
        return isClass(label) ? label : 0
      })
      for (let r = 0; r < rows; r++) full[r * s.classes + labels[r]!]! += s.lead
      const student = full.map((v, i) =>
        isClass(i % s.classes) ? v + s.offset + s.distance * s.scale * random.normal() : Number.NaN,
      )
      // The upper halves of the numbers are bfloat16.
      const teacher = s.teacher === 0 ? full : Uint16Array.from(new Uint32Array(full.buffer), (bits) => bits >>> 16)
      const weights = s.weighted ? Float32Array.from({ length: rows }, (_, r) => (r % 4 === 1 ? 0 : 0.5 + r)) : null
      const gradient = new Float32Array(student.length).fill(Number.NaN)
      const hard = s.hardWeight > 0 ? labels : null
      return {
        buffers: [student, teacher, hard, weights, gradient, new Float64Array(3), classMask],
        scalars: [rows, s.classes, s.temperature, s.hardWeight, -100, s.teacher],
      }
    },
  }
}

describe.skipIf(binding === null).each(isas)('soft_target_loss on %s', (isa) => {
  test('keeps its digits wherever student and teacher stand', () => {
    const own = binding!.info().isa
    binding!.setIsa(isa)
    try {
      fc.assert(
        fc.property(situation, (s) => {
          const table = { ...parityTables.soft_target_loss, cases: [caseOf(s)] }
          const rows = parityOf('soft_target_loss', table, reference.soft_target_loss, (buffers, scalars) =>
            binding!.call('soft_target_loss', [...buffers], scalars),
          )
          expect(rows.filter(({ pass }) => !pass)).toEqual([])
        }),
        { numRuns: 400 },
      )
    } finally {
      binding!.setIsa(own)
    }
  })
})
