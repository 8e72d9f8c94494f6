import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type HiddenMarkovModel, viterbi } from '../../src/speech/viterbi.js'

const log = fc.double({ min: -20, max: 0, noNaN: true })
const maybe = fc.oneof({ weight: 3, arbitrary: log }, { weight: 1, arbitrary: fc.constant(Number.NEGATIVE_INFINITY) })
const vector = (length: number, one: fc.Arbitrary<number>): fc.Arbitrary<number[]> =>
  fc.array(one, { minLength: length, maxLength: length })

/** Small models with all sorts of ways, and scores for a few frames. */
const cases = fc
  .record({
    places: fc.integer({ min: 1, max: 4 }),
    columns: fc.integer({ min: 1, max: 3 }),
    frames: fc.integer({ min: 1, max: 5 }),
  })
  .chain(({ places, columns, frames }) =>
    fc.record({
      columns: fc.constant(columns),
      scores: vector(frames * columns, log),
      model: fc.record({
        emits: vector(places, fc.nat(columns - 1)),
        start: vector(places, maybe),
        end: vector(places, maybe),
        into: fc.array(
          fc.uniqueArray(fc.record({ from: fc.nat(places - 1), log }), {
            selector: ({ from }) => from,
            maxLength: places,
          }),
          { minLength: places, maxLength: places },
        ),
      }),
    }),
  )

/** The score of a path, as it is said; −∞ where a step is none. */
function scoreOf(
  path: readonly number[],
  scores: readonly number[],
  columns: number,
  model: HiddenMarkovModel,
): number {
  let sum = model.start[path[0]!]! + model.end[path.at(-1)!]!
  path.forEach((place, t) => {
    sum += scores[t * columns + model.emits[place]!]!
    if (t > 0) sum += model.into[place]!.find(({ from }) => from === path[t - 1])?.log ?? Number.NEGATIVE_INFINITY
  })
  return sum
}

function* paths(length: number, places: number): Generator<number[]> {
  if (length === 0) yield []
  else for (const path of paths(length - 1, places)) for (let place = 0; place < places; place++) yield [...path, place]
}

describe('viterbi', () => {
  it('finds the best of all paths, and its score', () => {
    fc.assert(
      fc.property(cases, ({ scores, columns, model }) => {
        let best = Number.NEGATIVE_INFINITY
        for (const path of paths(scores.length / columns, model.emits.length))
          best = Math.max(best, scoreOf(path, scores, columns, model))
        const { score, path } = viterbi(scores, columns, model)
        if (best === Number.NEGATIVE_INFINITY) {
          expect(score).toBe(best)
          expect(path).toHaveLength(0)
        } else {
          expect(score).toBeCloseTo(best, 9)
          expect(scoreOf([...path], scores, columns, model)).toBeCloseTo(best, 9)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('has no way through nothing, and refuses what does not fit', () => {
    const model = { emits: [0], start: [0], end: [0], into: [[]] }
    expect(viterbi([], 1, model).score).toBe(Number.NEGATIVE_INFINITY)
    expect(viterbi([1], 1, model)).toEqual({ score: 1, path: Int32Array.of(0) })
    expect(() => viterbi([1, 2, 3], 2, model)).toThrow(/scores/)
    expect(() => viterbi([1], 1, { ...model, end: [] })).toThrow(/model/)
  })
})
