import { digits as drawn } from '@imago/data'
import { rng } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { imageSet, speechSet } from '../../src/sets/classifier-set.js'
import { tinyDigits } from '../speech/tiny-digits.js'

const digits = tinyDigits({ speakers: ['ann', 'bob'], takes: 12 })
const idsOf = (data: ReturnType<typeof speechSet>['train']): number[] => [
  ...data.rows(Uint32Array.from({ length: data.length }, (_, i) => i)).ids,
]

describe('the sets that recipes learn from', () => {
  it('of images: nothing in two parts, and few rows are some of those to learn from', () => {
    const { train, heldOut, few, test, inputs, classes } = imageSet(
      'mnist',
      drawn({ seed: 1, train: 240, test: 30 }),
      2,
    )
    expect([train.length, heldOut.length, test.length, inputs, classes]).toEqual([110, 20, 30, 784, 10])
    const [learn, held, some] = [idsOf(train), idsOf(heldOut), idsOf(few(0.1, rng(1)))]
    expect(some).toHaveLength(11)
    expect(some.every((id) => learn.includes(id))).toBe(true)
    expect(held.some((id) => learn.includes(id))).toBe(false)
    expect(idsOf(few(0.1, rng(1)))).toEqual(some)
    expect(idsOf(few(0.1, rng(2)))).not.toEqual(some)
  })

  it('of speech: few rows are whole utterances; thinning out leaves the test set alone', () => {
    const whole = speechSet(digits)
    const half = speechSet(digits, 2)
    expect(half.test.length).toBe(whole.test.length)
    expect(half.heldOut.length).toBe(whole.heldOut.length)
    expect(half.train.length / whole.train.length).toBeCloseTo(0.5, 1)
    // Utterances are as long as their alignments, and their frames follow one another.
    const few = idsOf(half.few(0.2, rng(3)))
    const runs = few.filter((id, i) => i === 0 || id !== few[i - 1]! + 1).length
    expect(runs).toBeLessThan(few.length / 8)
    const learn = new Set(idsOf(half.train))
    expect(few.every((id) => learn.has(id))).toBe(true)
  })
})
