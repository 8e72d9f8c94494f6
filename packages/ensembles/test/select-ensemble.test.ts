import { rng } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Average,
  arithmetic,
  combineOutputs,
  geometric,
  type Metric,
  type SelectOptions,
  selectEnsemble,
} from '../src/index.js'
import { argmax, genericLibraries, type Library, logits, mean, rowsOf, softmax } from './oracle.js'

const metrics: readonly Metric[] = ['errorRate', 'crossEntropy', 'rmse']
const averages: readonly Average[] = ['arithmetic', 'geometric']
const tiny = { members: 4, rows: 5, classes: 3 }

function select({ members, labels }: Library, options: Omit<SelectOptions, 'predictions' | 'labels'>) {
  return selectEnsemble({
    predictions: members.map((rows) => logits(rows)),
    labels: Int32Array.from(labels),
    ...options,
  })
}

/** The score of a list of members (with repetitions), from the definitions. */
function scoreOf({ members, labels }: Library, list: readonly number[], metric: Metric, average: Average): number {
  const rows = labels.map((_, r) => {
    const z = list.map((m) => members[m]![r]!)
    return average === 'arithmetic' ? mean(z.map((row) => softmax(row))) : softmax(mean(z))
  })
  const each = rows.map((p, r) => {
    const label = labels[r]!
    if (metric === 'errorRate') return argmax(p) === label ? 0 : 1
    if (metric === 'crossEntropy') return -Math.log(p[label]!)
    return p.reduce((sum, x, c) => sum + (x - (c === label ? 1 : 0)) ** 2, 0) / p.length
  })
  const average1 = each.reduce((a, b) => a + b) / each.length
  return metric === 'rmse' ? Math.sqrt(average1) : average1
}

/** All lists of `size` members, order aside. */
function* multisets(members: number, size: number, from: number = 0): Generator<number[]> {
  if (size === 0) yield []
  else for (let m = from; m < members; m++) for (const rest of multisets(members, size - 1, m)) yield [m, ...rest]
}

const drawn = fc.tuple(genericLibraries(tiny), fc.constantFrom(...metrics), fc.constantFrom(...averages))

describe('selectEnsemble', () => {
  test('each step is a best one, by trying all of them from the definitions', () => {
    fc.assert(
      fc.property(drawn, fc.integer({ min: 1, max: 4 }), ([library, metric, average], rounds) => {
        const { path } = select(library, { metric, average, rounds })
        expect(path).toHaveLength(rounds)
        const list: number[] = []
        for (const { member, score } of path) {
          const tried = library.members.map((_, m) => scoreOf(library, [...list, m], metric, average))
          expect(score).toBeCloseTo(Math.min(...tried), 9)
          expect(tried[member]).toBeCloseTo(score, 9)
          list.push(member)
        }
      }),
    )
  })

  test('two rounds are never better than the best pair, nor worse than the best model', () => {
    fc.assert(
      fc.property(drawn, ([library, metric, average]) => {
        const { score, alone } = select(library, { metric, average, rounds: 2 })
        const all = [1, 2].flatMap((size) =>
          [...multisets(library.members.length, size)].map((list) => scoreOf(library, list, metric, average)),
        )
        expect(score).toBeGreaterThanOrEqual(Math.min(...all) - 1e-9)
        expect(score).toBeLessThanOrEqual(Math.min(...alone) + 1e-9)
        for (const [m, one] of alone.entries()) expect(one).toBeCloseTo(scoreOf(library, [m], metric, average), 9)
      }),
    )
  })

  test('the weights are how often each model was kept, and the score is that of the ensemble they make', () => {
    fc.assert(
      fc.property(drawn, fc.integer({ min: 1, max: 6 }), ([library, metric, average], rounds) => {
        const { weights, score, path } = select(library, { metric, average, rounds })
        const kept = path.filter((step) => step.kept).map((step) => step.member)
        expect(kept.length).toBeGreaterThan(0)
        for (const [m, weight] of weights.entries())
          expect(weight).toBeCloseTo(kept.filter((one) => one === m).length / kept.length, 12)
        expect(score).toBeCloseTo(scoreOf(library, kept, metric, average), 9)
        // The shortest beginning of the path that is best.
        const scores = path.map((step) => step.score)
        expect(kept).toHaveLength(scores.indexOf(Math.min(...scores)) + 1)
        const combine = average === 'arithmetic' ? arithmetic({ weights }) : geometric({ weights })
        const rows = rowsOf(
          combineOutputs(
            library.members.map((one) => logits(one)),
            combine,
          ),
        )
        const again = scoreOf({ ...library, members: [rows] }, [0], metric, average)
        if (metric !== 'errorRate') expect(again).toBeCloseTo(score, 4)
      }),
    )
  })

  test('sorted initialization: the best models by themselves, as many as score best together', () => {
    fc.assert(
      fc.property(drawn, fc.integer({ min: 1, max: 6 }), ([library, metric, average], sortedInitial) => {
        const { path, alone } = select(library, { metric, average, rounds: 1, sortedInitial })
        const sorted = [...alone.keys()].sort((m, n) => alone[m]! - alone[n]! || m - n).slice(0, sortedInitial)
        const trial = sorted.map((_, i) => scoreOf(library, sorted.slice(0, i + 1), metric, average))
        const initial = path.slice(0, -1).map((step) => step.member)
        expect(initial).toEqual(sorted.slice(0, initial.length))
        expect(trial[initial.length - 1]).toBeCloseTo(Math.min(...trial), 9)
      }),
    )
  })

  test('models that err on different rows are found together, and one that hurts is left out', () => {
    // Three are right by 2 where they are right and wrong by 1 elsewhere; the fourth is surely wrong everywhere.
    const right = [2, 0]
    const wrong = [0, 1]
    const members = [0, 1, 2].map((m) => [0, 1, 2].map((r) => (r === m ? wrong : right)))
    const library = { members: [...members, [[0, 9], [0, 9], [0, 9]]], labels: [0, 0, 0], weights: [] } // biome-ignore format: a table
    const { weights, score, alone, path } = select(library, { metric: 'errorRate', rounds: 10 })
    expect(alone).toEqual([1 / 3, 1 / 3, 1 / 3, 1])
    expect(score).toBe(0)
    expect(weights[3]).toBe(0)
    expect(path.filter((step) => step.kept).length).toBeLessThanOrEqual(3)
    expect(path).toHaveLength(10)
  })

  test('rmse of two classes is that of the positive class', () => {
    const p = [0.9, 0.3]
    const library = { members: [p.map((x) => [0, Math.log(x / (1 - x))])], labels: [1, 0], weights: [] }
    expect(select(library, { metric: 'rmse', rounds: 1 }).score).toBeCloseTo(Math.sqrt((0.1 ** 2 + 0.3 ** 2) / 2), 6)
  })

  test('bags: the same rng gives the same, each draws its part of the library, the ensemble is the mean of theirs', () => {
    fc.assert(
      fc.property(drawn, fc.integer({ min: 1, max: 5 }), fc.nat(), ([library, metric, average], count, seed) => {
        const bags = { count, fraction: 0.5, rng: rng(seed) }
        const one = select(library, { metric, average, rounds: 3, bags })
        expect(select(library, { metric, average, rounds: 3, bags: { ...bags, rng: rng(seed) } })).toEqual(one)
        const size = Math.ceil(library.members.length / 2)
        const expected = new Array<number>(library.members.length).fill(0)
        for (let b = 0; b < count; b++) {
          const steps = one.path.filter((step) => step.bag === b)
          expect(new Set(steps.map((step) => step.member)).size).toBeLessThanOrEqual(size)
          const kept = steps.filter((step) => step.kept)
          for (const { member } of kept) expected[member]! += 1 / (kept.length * count)
        }
        for (const [m, weight] of one.weights.entries()) expect(weight).toBeCloseTo(expected[m]!, 12)
        expect(one.weights.reduce((a, b) => a + b)).toBeCloseTo(1, 12)
      }),
    )
  })

  test('a bag of the whole library is the selection without bags', () => {
    fc.assert(
      fc.property(drawn, ([library, metric, average]) => {
        const plain = select(library, { metric, average, rounds: 3 })
        expect(select(library, { metric, average, rounds: 3, bags: { count: 1, fraction: 1, rng: rng(0) } })).toEqual(
          plain,
        )
      }),
    )
  })

  test('unlabelled rows count for nothing', () => {
    fc.assert(
      fc.property(drawn, ([library, metric, average]) => {
        const noise = library.members[0]![0]!.map((_, c) => 8 - c)
        const more = {
          ...library,
          members: library.members.map((rows) => [noise, ...rows, noise]),
          labels: [-1, ...library.labels, -100],
        }
        expect(select(more, { metric, average, rounds: 2 })).toEqual(select(library, { metric, average, rounds: 2 }))
      }),
    )
  })

  test('a class that all surely deny costs an infinite cross entropy, and the others still compete', () => {
    const deny = [[0, -Infinity]]
    const library = { members: [deny, [[0, 0]]], labels: [1], weights: [] }
    const { path, alone, score } = select(library, { metric: 'crossEntropy', average: 'geometric', rounds: 2 })
    expect(alone).toEqual([Infinity, Math.log(2)])
    expect(path.map((step) => step.member)).toEqual([1, 1])
    expect(score).toBeCloseTo(Math.log(2), 12)
    expect(
      select({ ...library, members: [deny, deny] }, { metric: 'crossEntropy', rounds: 2, sortedInitial: 2 }).score,
    ).toBe(Infinity)
  })

  const two = logits([[1, 0]])
  const fine = { predictions: [two], labels: Int32Array.of(0), metric: 'rmse' as Metric, rounds: 1 }
  test.each([
    ['an empty library', { ...fine, predictions: [] }, /"predictions" must be a list with at least one/],
    [
      'other classes',
      { ...fine, predictions: [two, logits([[1, 2, 3]])], names: ['a', 'b'] },
      /predictions\[1\] \(b\)" must be \[N=1, C=2\], got \[1, 3\]/,
    ],
    ['other rows', { ...fine, predictions: [two, logits([[1, 2], [1, 2]])] }, /predictions\[1\].*got \[2, 2\]/], // biome-ignore format: one line a case
    ['too few labels', { ...fine, labels: Int32Array.of() }, /labels" must be an Int32Array of 1/],
    ['a label that is no class', { ...fine, labels: Int32Array.of(2) }, /labels\[0\]" must be a class in \[0, 2\)/],
    ['no labelled row', { ...fine, labels: Int32Array.of(-1) }, /at least one labelled row/],
    ['a metric that is none', { ...fine, metric: 'accuracy' as Metric }, /one of errorRate, crossEntropy, rmse/],
    [
      'an inherited name as a metric',
      { ...fine, metric: 'toString' as Metric },
      /one of errorRate, crossEntropy, rmse/,
    ],
    ['no rounds', { ...fine, rounds: 0 }, /rounds" must be a whole number ≥ 1/],
    ['half a model', { ...fine, sortedInitial: 0.5 }, /sortedInitial" must be a whole number/],
    ['no bags', { ...fine, bags: { count: 0, rng: rng(0) } }, /bags.count/],
    ['empty bags', { ...fine, bags: { count: 1, fraction: 0, rng: rng(0) } }, /bags.fraction/],
    ['another average', { ...fine, average: 'harmonic' as Average }, /arithmetic or geometric/],
    ['NaN', { ...fine, predictions: [logits([[Number.NaN, 0]])] }, /predictions\[0\] hold NaN in row 0/],
  ])('%s is refused', (_, options, said) => {
    expect(() => selectEnsemble(options)).toThrow(said)
  })
})
