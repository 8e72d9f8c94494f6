import { rng, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, type Dataset, dataset, split, subset, unlabelled } from '../src/index.js'

const numbered = (count: number, from = 0, labelled = true): Dataset =>
  dataset({
    inputs: {
      x: tensor(
        'float32',
        [count],
        Float32Array.from({ length: count }, (_, i) => from + i),
      ),
    },
    ...(labelled ? { labels: Array.from({ length: count }, (_, i) => (from + i) % 4), classes: 4 } : {}),
  })
const all = (set: Dataset) => set.rows(Uint32Array.from({ length: set.length }, (_, i) => i))

describe('subset', () => {
  test('of a subset takes the rows that both name, with the ids of the first set', () => {
    const twice = subset(subset(numbered(10), [9, 7, 5, 3]), [2, 0])
    expect(all(twice).ids).toEqual(Uint32Array.of(5, 9))
    expect(all(twice).inputs.x!.data).toEqual(Float32Array.of(5, 9))
    expect(twice.classes).toBe(4)
  })

  test('refuses rows that are not there', () => {
    expect(() => subset(numbered(3), [0, 3])).toThrow(/"indices\[1\]" must be a row in \[0, 3\)/)
    expect(() => subset(numbered(3), [0]).rows(Uint32Array.of(1))).toThrow(/rows in \[0, 1\)/)
  })
})

describe('split', () => {
  test('is a partition of the share asked for, the same each time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), fc.nat(), (count, seed) => {
        const validation = 1 + (seed % (count - 1))
        const parts = split(numbered(count), { validation, rng: rng(seed) })
        expect(parts.validation.length).toBe(validation)
        const ids = [...all(parts.train).ids, ...all(parts.validation).ids]
        expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i))
        const again = split(numbered(count), { validation, rng: rng(seed) })
        expect(all(again.train).ids).toEqual(all(parts.train).ids)
      }),
    )
  })

  test('takes a share', () => {
    expect(split(numbered(60), { validation: 0.25, rng: rng(1) }).validation.length).toBe(15)
  })

  test.each([0, -1, 10, 1.5, Number.NaN, 0.001])('refuses %s of 10', (validation) => {
    expect(() => split(numbered(10), { validation, rng: rng(1) })).toThrow(/"validation"/)
  })
})

describe('concat', () => {
  test('is one set after the other, in any order of rows', () => {
    const whole = concat(numbered(3), numbered(2, 3), numbered(4, 5))
    fc.assert(
      fc.property(fc.array(fc.nat(8), { maxLength: 20 }), (wanted) => {
        const indices = Uint32Array.from(wanted)
        const got = whole.rows(indices)
        expect(got.ids).toEqual(indices)
        expect(got.inputs.x!.data).toEqual(Float32Array.from(wanted))
        expect(got.labels).toEqual(Int32Array.from(wanted, (i) => i % 4))
      }),
    )
  })

  test('gives rows without a label −1', () => {
    const whole = concat(numbered(2), numbered(2, 2, false))
    expect(all(whole).labels).toEqual(Int32Array.of(0, 1, -1, -1))
    expect(all(concat(numbered(2, 0, false), numbered(1, 2, false))).labels).toBeUndefined()
  })

  test('refuses sets whose rows differ in shape, as soon as they meet', () => {
    const wide = dataset({ inputs: { x: tensor('float32', [2, 3], new Float32Array(6)) } })
    expect(() => concat(numbered(2), wide)).toThrow(
      /"inputs.x" must be float32 \[N\] in every set, got float32 \[N, 3\]/,
    )
    expect(() => concat()).toThrow(/at least one/)
  })
})

test('unlabelled hides the labels and nothing else', () => {
  const set = unlabelled(numbered(3))
  expect(all(set)).toEqual({ ids: Uint32Array.of(0, 1, 2), inputs: all(numbered(3)).inputs })
  expect([set.length, set.classes]).toEqual([3, 4])
})
