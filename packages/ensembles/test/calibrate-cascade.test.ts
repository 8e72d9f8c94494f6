import { type Predict, tensor, tensorMap } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { calibrateCascade, cascade, evaluateCascade, never } from '../src/index.js'
import { argmax, genericLibraries, type Library, logits, softmax } from './oracle.js'

interface Point {
  readonly accuracy: number
  readonly cost: number
}

/** Accuracy and cost of thresholds from the definitions. */
function tried({ members, labels }: Library, costs: readonly number[], thresholds: readonly number[]): Point {
  let hits = 0
  let cost = 0
  for (const [r, label] of labels.entries()) {
    let s = 0
    cost += costs[0]!
    while (s < thresholds.length && Math.max(...softmax(members[s]![r]!)) < thresholds[s]!) cost += costs[++s]!
    if (argmax(members[s]![r]!) === label) hits++
  }
  return { accuracy: hits / labels.length, cost: cost / labels.length }
}

/** All thresholds that differ on these rows: each confidence, 0, and one that is out of reach. */
function* allThresholds({ members }: Library, stage: number = 0): Generator<number[]> {
  if (stage >= members.length - 1) yield []
  else {
    const cuts = [0, ...members[stage]!.map((z) => Math.max(...softmax(z))), never]
    for (const cut of cuts)
      for (const rest of allThresholds({ members, labels: [], weights: [] }, stage + 1)) yield [cut, ...rest]
  }
}

function holdOut({ members, labels }: Library, costs: readonly number[]) {
  return { outputs: members.map((rows) => logits(rows)), labels: Int32Array.from(labels), costs }
}

/** Each row comes twice with two labels, so that some rows are equally sure and not equally right. */
function drawn(stages: number): fc.Arbitrary<{ library: Library; costs: readonly number[] }> {
  return fc.record({
    library: genericLibraries({ members: 3, rows: 4, classes: 3 }).map(({ members, labels, weights }) => ({
      members: Array.from({ length: stages }, (_, s) =>
        members[s % members.length]!.flatMap((z) => {
          const row = z.map((v) => Math.fround(v * (s + 1) - s))
          return [row, row]
        }),
      ),
      labels: labels.flatMap((label) => [label, 1 - Math.min(label, 1)]),
      weights,
    })),
    costs: fc.array(fc.integer({ min: 0, max: 20 }), { minLength: stages, maxLength: stages }),
  })
}

describe('calibrateCascade', () => {
  test.each([2, 3])('%i stages: as good as trying every threshold', (stages) => {
    fc.assert(
      fc.property(drawn(stages), fc.double({ min: 0, max: 1, noNaN: true }), ({ library, costs }, wish) => {
        const all = [...allThresholds(library)].map((thresholds) => tried(library, costs, thresholds))
        const reachable = Math.max(...all.map(({ accuracy }) => accuracy))
        const accuracy = wish * reachable
        const cheapest = Math.min(...all.filter((one) => one.accuracy >= accuracy).map((one) => one.cost))
        const byAccuracy = calibrateCascade({ ...holdOut(library, costs), want: { accuracy } })
        expect(byAccuracy.accuracy).toBeGreaterThanOrEqual(accuracy)
        expect(byAccuracy.cost).toBeCloseTo(cheapest, 9)

        const cost = costs[0]! + wish * (costs.reduce((a, b) => a + b) - costs[0]!)
        const best = Math.max(...all.filter((one) => one.cost <= cost + 1e-12).map((one) => one.accuracy))
        const byCost = calibrateCascade({ ...holdOut(library, costs), want: { cost: cost + 1e-12 } })
        expect(byCost.cost).toBeLessThanOrEqual(cost + 1e-12)
        expect(byCost.accuracy).toBeCloseTo(best, 12)
      }),
    )
  })

  test('what is reported is what the thresholds do, by hand and run as a cascade', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }).chain(drawn), async ({ library, costs }) => {
        const options = holdOut(library, costs)
        const { report, ...chosen } = calibrateCascade({ ...options, want: { accuracy: 0 } })
        expect(report).toContainEqual(chosen)
        for (const [i, point] of report.entries()) {
          expect(evaluateCascade({ ...options, thresholds: point.thresholds })).toEqual(point)
          const expected = tried(library, costs, point.thresholds)
          expect(point.accuracy).toBeCloseTo(expected.accuracy, 12)
          expect(point.cost).toBeCloseTo(expected.cost, 9)
          expect(point.answered.reduce((a, b) => a + b)).toBeCloseTo(1, 12)
          if (i > 0) {
            expect(point.cost).toBeGreaterThan(report[i - 1]!.cost)
            expect(point.accuracy).toBeGreaterThan(report[i - 1]!.accuracy)
          }
        }
        const stages = library.members.map(
          (rows): Predict =>
            async ({ row }) =>
              logits(Array.from(row!.data as Float32Array, (r) => rows[r]!)),
        )
        const rows = library.labels.map((_, r) => r)
        const got = await cascade(
          stages,
          chosen.thresholds,
        )(tensorMap([['row', tensor('float32', [rows.length], Float32Array.from(rows))]]))
        const counts = chosen.answered.map(() => 0)
        for (const s of got.stage!.data as Int32Array) counts[s]! += 1
        expect(counts.map((n) => n / rows.length)).toEqual(chosen.answered)
      }),
      { numRuns: 60 },
    )
  })

  test('by hand: a cheap stage that is right where it is sure', () => {
    // Sure and right twice, unsure and wrong twice; the dear stage is always right.
    const cheap = [[9, 0], [8, 0], [0, 0.5], [0, 0.4]] // biome-ignore format: a table
    const dear = [[1, 0], [1, 0], [1, 0], [1, 0]] // biome-ignore format: a table
    const options = { outputs: [logits(cheap), logits(dear)], labels: new Int32Array(4), costs: [1, 10] }
    const all = calibrateCascade({ ...options, want: { accuracy: 1 } })
    expect(all).toMatchObject({ accuracy: 1, cost: 1 + 10 / 2, answered: [0.5, 0.5] })
    expect(all.report.map(({ accuracy, cost }) => [accuracy, cost])).toEqual([
      [0.5, 1],
      [0.75, 3.5],
      [1, 6],
    ])
    expect(calibrateCascade({ ...options, want: { cost: 5.9 } })).toMatchObject({ accuracy: 0.75, cost: 3.5 })
    expect(calibrateCascade({ ...options, want: { cost: 1 } })).toMatchObject({
      accuracy: 0.5,
      cost: 1,
      thresholds: [0],
    })
    expect(() => calibrateCascade({ ...options, want: { cost: 0.5 } })).toThrow(
      /want.cost" must be at least 1,.*got 0.5/,
    )
  })

  test('a threshold lies half way between the rows it divides', () => {
    const confidences = [0.9, 0.6]
    const cheap = confidences.map((p) => [0, Math.log(p / (1 - p))])
    const { thresholds } = calibrateCascade({
      outputs: [logits(cheap), logits([[1, 0], [1, 0]])], // biome-ignore format: a table
      labels: Int32Array.of(1, 0),
      costs: [1, 1],
      want: { accuracy: 1 },
    })
    expect(thresholds[0]).toBeCloseTo(0.75, 6)
  })

  test('a last stage that is worse is not asked, one that is better is asked for everything', () => {
    const good = logits([[1, 0], [1, 0]]) // biome-ignore format: a table
    const bad = logits([[0, 1], [0, 1]]) // biome-ignore format: a table
    const labels = new Int32Array(2)
    expect(calibrateCascade({ outputs: [good, bad], labels, costs: [1, 1], want: { cost: 9 } }).thresholds).toEqual([0])
    expect(calibrateCascade({ outputs: [bad, good], labels, costs: [1, 1], want: { cost: 9 } }).thresholds).toEqual([
      never,
    ])
  })

  test('five stages on a grid: never worse than any stage alone', () => {
    fc.assert(
      fc.property(drawn(5), ({ library, costs }) => {
        const { report } = calibrateCascade({ ...holdOut(library, costs), want: { accuracy: 0 } })
        const alone = library.members.map((_, s) =>
          tried(
            library,
            costs,
            Array.from({ length: 4 }, (_, t) => (t < s ? never : 0)),
          ),
        )
        expect(report.at(-1)!.accuracy).toBeGreaterThanOrEqual(Math.max(...alone.map(({ accuracy }) => accuracy)))
      }),
      { numRuns: 10 },
    )
  })

  const two = logits([[1, 0]])
  const fine = { outputs: [two, two], labels: Int32Array.of(0), costs: [1, 1], want: { accuracy: 1 } }
  test.each([
    [
      'an accuracy beyond reach',
      { ...fine, labels: Int32Array.of(1) },
      /want.accuracy" must be at most 0, which is the best/,
    ],
    ['no wish', { ...fine, want: {} as never }, /either \{ accuracy \}/],
    ['two wishes', { ...fine, want: { accuracy: 1, cost: 1 } }, /either \{ accuracy \}/],
    ['97 for 97 %', { ...fine, want: { accuracy: 97 } }, /either \{ accuracy \} in \[0, 1\]/],
    ['a cost for one stage', { ...fine, costs: [1] }, /costs" must be 2 numbers/],
    ['a negative cost', { ...fine, costs: [1, -1] }, /costs\[1\]" must be a finite number ≥ 0/],
    ['no stages', { ...fine, outputs: [] }, /"outputs" must be a list with at least one/],
    ['other classes', { ...fine, outputs: [two, logits([[1, 2, 3]])] }, /outputs\[1\]" must be \[N=1, C=2\]/],
    ['other labels', { ...fine, labels: Int32Array.of(0, 0) }, /labels" must be an Int32Array of 1/],
  ])('%s is refused', (_, options, said) => {
    expect(() => calibrateCascade(options)).toThrow(said)
  })
})
