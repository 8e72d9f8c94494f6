import { type Tensor, tensor, tensorMap } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dkd, hardLabel, head, type Loss, nkd, softTarget } from '../src/index.js'
import { roughBatches } from './batches.js'

const losses: { readonly [name: string]: Loss } = {
  soft: softTarget({ temperature: 3, hardWeight: 0.4 }),
  hard: hardLabel(),
  dkd: dkd({ temperature: 2 }),
  nkd: nkd(),
}

const f32 = (dims: readonly number[], numbers: readonly number[]): Tensor =>
  tensor('float32', dims, Float32Array.from(numbers))

describe.each(Object.keys(losses))('%s at every position of sequences', (name) => {
  const loss = losses[name]!

  it('is the loss over the positions that the mask leaves: padding is not read, whatever it holds', () =>
    fc.assert(
      fc.property(roughBatches, fc.integer({ min: 1, max: 3 }), fc.nat(), ({ student, teacher, labels }, pad, cut) => {
        // Two sequences: all positions, and all but some of the last, with padding behind both.
        const classes = student[0]!.length
        const length = student.length + pad
        const seen = [student.length, 1 + (cut % student.length)]
        const places = seen.flatMap((count) => Array.from({ length }, (_, t) => (t < count ? t : -1)))
        const laid = (rows: readonly (readonly number[])[]): number[] =>
          places.flatMap((t) => (t < 0 ? new Array<number>(classes).fill(Number.NaN) : [...rows[t]!]))
        const dims = [2, length, classes]
        const mask = tensor(
          'int64',
          [2, length],
          BigInt64Array.from(places, (t) => (t < 0 ? 0n : 1n)),
        )
        const tags = tensor(
          'int64',
          [2, length],
          BigInt64Array.from(places, (t) => (t < 0 ? 99n : BigInt(labels[t]!))),
        )
        const targets = tensorMap([
          ['teacher_tags', f32(dims, laid(teacher))],
          ['tags', tags],
          ['mask', mask],
        ])
        const whole = head(loss, { student: 'tag_logits', logits: 'teacher_tags', labels: 'tags', weights: 'mask' })
        const got = whole.evaluate(tensorMap([['tag_logits', f32(dims, laid(student))]]), targets)

        const { dims: shape, data } = got.cotangents.tag_logits!
        expect(shape).toEqual(dims)
        // The memory of the cotangents is the loss's own, which is evaluated once more.
        const cotangent = (data as Float32Array).slice()
        const kept = places.filter((t) => t >= 0)
        const flat = [kept.length, classes]
        const plain = loss.evaluate(
          tensorMap([
            [
              'logits',
              f32(
                flat,
                kept.flatMap((t) => [...student[t]!]),
              ),
            ],
          ]),
          tensorMap([
            [
              'logits',
              f32(
                flat,
                kept.flatMap((t) => [...teacher[t]!]),
              ),
            ],
            [
              'labels',
              tensor(
                'int32',
                [kept.length],
                Int32Array.from(kept, (t) => labels[t]!),
              ),
            ],
          ]),
        )
        expect(got.value).toBeCloseTo(plain.value, 5)
        const wanted = [...(plain.cotangents.logits!.data as Float32Array)]
        places.forEach((t, place) => {
          const row = cotangent.slice(place * classes, (place + 1) * classes)
          if (t < 0) expect([...row].every((g) => g === 0)).toBe(true)
          else for (const g of row) expect(g).toBeCloseTo(wanted.shift()!, 5)
        })
      }),
      { numRuns: 30 },
    ))
})

describe('head', () => {
  it('says what it reads by the names of the model', () => {
    expect(head(losses.soft!, { student: 'b', logits: 'tb', labels: 'yb' }).needs).toEqual({
      student: ['b'],
      targets: ['tb', 'yb'],
    })
  })

  it('refuses positions that disagree', () => {
    const student = tensorMap([['logits', f32([2, 3, 2], new Array(12).fill(0))]])
    const labels = tensor('int32', [2], Int32Array.of(0, 1))
    expect(() => head(hardLabel()).evaluate(student, { labels })).toThrow(
      expect.objectContaining({ code: 'ERR_SHAPE', message: expect.stringContaining('6 rows') }),
    )
  })
})
