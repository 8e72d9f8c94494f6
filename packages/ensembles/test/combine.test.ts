import { tensor, tensorMap } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arithmetic, type Combine, combineOutputs, geometric, logitMean } from '../src/index.js'
import {
  largestGap,
  libraries,
  logits,
  type Matrix,
  mean,
  normalised,
  rowsOf,
  softmax,
  temperatures,
} from './oracle.js'

/** float32 in, float64 between, float32 out: log-probabilities down to about −16·5 keep this. */
const close = 2e-5
const sizes = { members: 5, rows: 3, classes: 6 }

function combine(members: readonly Matrix[], how: Combine): number[][] {
  return rowsOf(
    combineOutputs(
      members.map((rows) => logits(rows)),
      how,
    ),
  )
}

/** Row r of every member. */
function across(members: readonly Matrix[], r: number): Matrix {
  return members.map((rows) => rows[r]!)
}

const kinds: readonly [string, (weights?: readonly number[]) => Combine][] = [
  ['arithmetic', (weights) => arithmetic({ weights })],
  ['arithmetic at T = 5', (weights) => arithmetic({ temperature: 5, weights })],
  ['geometric', (weights) => geometric({ weights })],
  ['logitMean', (weights) => logitMean({ weights })],
]

describe('closed forms', () => {
  test('arithmetic: softmax(logits / T) = Σ w·softmax(z / T), each member tempered first', () => {
    fc.assert(
      fc.property(libraries(sizes), temperatures, ({ members, weights }, temperature) => {
        for (const [r, row] of combine(members, arithmetic({ temperature, weights })).entries()) {
          const expected = mean(
            across(members, r).map((z) => softmax(z, temperature)),
            weights,
          )
          expect(largestGap(softmax(row, temperature), expected)).toBeLessThan(close)
        }
      }),
    )
  })

  test('geometric: at every T one set of logits gives softmax(mean z / T), the normalised product of the tempered members', () => {
    fc.assert(
      fc.property(libraries(sizes), temperatures, ({ members, weights }, temperature) => {
        const total = weights.reduce((a, b) => a + b)
        for (const [r, row] of combine(members, geometric({ weights })).entries()) {
          const z = across(members, r)
          const product = normalised(
            z[0]!.map((_, c) =>
              z.reduce((p, member, m) => p * softmax(member, temperature)[c]! ** (weights[m]! / total), 1),
            ),
          )
          const got = softmax(row, temperature)
          expect(largestGap(got, softmax(mean(z, weights), temperature))).toBeLessThan(close)
          expect(largestGap(got, product)).toBeLessThan(close)
        }
      }),
    )
  })

  test('logitMean: the numbers themselves', () => {
    fc.assert(
      fc.property(libraries(sizes), ({ members, weights }) => {
        for (const [r, row] of combine(members, logitMean({ weights })).entries())
          expect(largestGap(row, mean(across(members, r), weights))).toBeLessThan(close)
      }),
    )
  })

  test('arithmetic and geometric logits are log-probabilities: their exponentials add up to 1', () => {
    fc.assert(
      fc.property(libraries(sizes), temperatures, ({ members }, temperature) => {
        for (const how of [arithmetic({ temperature }), geometric()])
          for (const row of combine(members, how))
            expect(Math.abs(row.reduce((sum, v) => sum + Math.exp(v), 0) - 1)).toBeLessThan(close)
      }),
    )
  })

  test('one sure member and one that knows nothing: the two means by hand', () => {
    // p = (0.9, 0.1) and (0.5, 0.5): arithmetic (0.7, 0.3), geometric √(0.45) : √(0.05) = 3 : 1.
    const members = [[[Math.log(9), 0]], [[0, 0]]]
    expect(largestGap(softmax(combine(members, arithmetic())[0]!), [0.7, 0.3])).toBeLessThan(1e-6)
    expect(largestGap(softmax(combine(members, geometric())[0]!), [0.75, 0.25])).toBeLessThan(1e-6)
    // Tempered at T = 2 first: √9 : 1 = (0.75, 0.25), and the mean is (0.625, 0.375); tempering (0.7, 0.3) after would give 0.604.
    expect(largestGap(softmax(combine(members, arithmetic({ temperature: 2 }))[0]!, 2), [0.625, 0.375])).toBeLessThan(
      1e-6,
    )
    expect(softmax(combine(members, arithmetic())[0]!, 2)[0]).toBeCloseTo(
      Math.sqrt(0.7) / (Math.sqrt(0.7) + Math.sqrt(0.3)),
      6,
    )
  })

  test('as T grows the arithmetic mean becomes the geometric one', () => {
    fc.assert(
      fc.property(libraries(sizes), ({ members }) => {
        const [hot, warm] = [1e6, 10].map((temperature) => combine(members, arithmetic({ temperature })))
        const geometrical = combine(members, geometric())
        for (const [r, row] of hot!.entries()) {
          // The second cumulant over T: at |z| ≤ 8, (16/2)² / (2·1e6).
          expect(largestGap(row, geometrical[r]!)).toBeLessThan(2e-4)
          expect(largestGap(row, geometrical[r]!)).toBeLessThanOrEqual(largestGap(warm![r]!, geometrical[r]!) + 2e-4)
        }
      }),
    )
  })
})

describe.each(kinds)('%s', (_, how) => {
  test('does not care for the order of members', () => {
    const shuffled = libraries(sizes).chain((library) =>
      fc
        .shuffledSubarray([...library.members.keys()], { minLength: library.members.length })
        .map((order) => ({ ...library, order })),
    )
    fc.assert(
      fc.property(shuffled, ({ members, weights, order }) => {
        const straight = combine(members, how(weights))
        const moved = combine(
          order.map((m) => members[m]!),
          how(order.map((m) => weights[m]!)),
        )
        for (const [r, row] of straight.entries()) expect(largestGap(row, moved[r]!)).toBeLessThan(close)
      }),
    )
  })

  test('of identical members, and of one that has all the weight, is that member', () => {
    fc.assert(
      fc.property(libraries(sizes), fc.nat(4), temperatures, ({ members }, pick, temperature) => {
        const one = pick % members.length
        const same = combine([members[one]!, members[one]!, members[one]!], how([1, 2, 0.5]))
        const chosen = combine(members, how(members.map((_, m) => (m === one ? 3 : 0))))
        for (const [r, z] of members[one]!.entries()) {
          const expected = softmax(z, temperature)
          expect(largestGap(softmax(same[r]!, temperature), expected)).toBeLessThan(close)
          expect(largestGap(softmax(chosen[r]!, temperature), expected)).toBeLessThan(close)
        }
      }),
    )
  })

  test('weights are ratios, and whole ones are repetitions', () => {
    fc.assert(
      fc.property(
        libraries(sizes),
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 5 }),
        ({ members }, times) => {
          const counts = members.map((_, m) => times[m]!)
          const repeated = members.flatMap((rows, m) => new Array<Matrix>(counts[m]!).fill(rows))
          const weighed = combine(members, how(counts))
          const scaled = combine(members, how(counts.map((n) => n / 7)))
          for (const [r, row] of combine(repeated, how()).entries()) {
            expect(largestGap(row, weighed[r]!)).toBeLessThan(close)
            expect(largestGap(row, scaled[r]!)).toBeLessThan(close)
          }
        },
      ),
    )
  })
})

describe('extremes', () => {
  const inf = Number.NEGATIVE_INFINITY

  test('−∞ is no mass: an arithmetic mean fills it, a geometric one does not', () => {
    const members = [[[0, 0, inf]], [[0, inf, 0]]]
    expect(softmax(combine(members, arithmetic())[0]!).map((p) => p.toFixed(6))).toEqual([
      '0.500000',
      '0.250000',
      '0.250000',
    ])
    expect(combine(members, geometric())[0]).toEqual([0, inf, inf])
    expect(combine([members[0]!, members[0]!], arithmetic({ temperature: 3 }))[0]![2]).toBe(inf)
  })

  test('temperatures from 0.001 to a million, logits of ± 30000', () => {
    const members = [[[30000, 0, -30000]], [[29999, 0, -30000]]]
    for (const temperature of [1e-3, 1, 1e3, 1e6])
      for (const v of combine(members, arithmetic({ temperature }))[0]!) expect(Number.isNaN(v)).toBe(false)
    // T → 0: the surest member for each class; here both give class 0 all of it.
    expect(combine(members, arithmetic({ temperature: 1e-3 }))[0]![0]).toBeCloseTo(0, 6)
  })

  test('halves as they are stored', () => {
    // 1.5, −2 and 0.25 are the same numbers in all three types.
    const half = tensor('float16', [1, 3], Uint16Array.of(0x3e00, 0xc000, 0x3400))
    const brain = tensor('bfloat16', [1, 3], Uint16Array.of(0x3fc0, 0xc000, 0x3e80))
    const whole = tensor('float32', [1, 3], Float32Array.of(1.5, -2, 0.25))
    const mixed = [half, brain, whole].map((value) => tensorMap([['logits', value]]))
    expect(rowsOf(combineOutputs(mixed, logitMean()))[0]!.map((v) => v.toFixed(6))).toEqual([
      '1.500000',
      '-2.000000',
      '0.250000',
    ])
  })

  test('no rows', () => {
    const none = logits([], 4)
    expect(combineOutputs([none, none], geometric()).logits!.dims).toEqual([0, 4])
  })
})

describe('refusals', () => {
  const two = logits([[1, 2]])
  test.each([
    ['no members', () => combineOutputs([], geometric()), /"outputs" must be a list with at least one/],
    [
      'other classes',
      () => combineOutputs([two, logits([[1, 2, 3]])], geometric(), { names: ['a.onnx', 'b.onnx'] }),
      /outputs\[1\] \(b\.onnx\)" must be \[N=1, C=2\], got \[1, 3\]/,
    ],
    [
      'other rows',
      () => combineOutputs([two, logits([[1, 2], [3, 4]])], geometric()), // biome-ignore format: one line a case
      /outputs\[1\]" must be \[N=1, C=2\], got \[2, 2\]/,
    ],
    ['no classes', () => combineOutputs([logits([[]])], geometric()), /at least one class/],
    [
      'another output',
      () => combineOutputs([two], geometric(), { output: 'scores' }),
      /no output "scores".*It has: logits/,
    ],
    ['one name for two', () => combineOutputs([two, two], geometric(), { names: ['a'] }), /names" must be 2 names/],
    ['NaN', () => combineOutputs([two, logits([[1, Number.NaN]])], geometric()), /outputs\[1\] hold NaN in row 0/],
    ['+∞', () => combineOutputs([logits([[1, Infinity]])], geometric()), /outputs\[0\] is Infinity in row 0/],
    ['−∞ alone', () => combineOutputs([logits([[-Infinity, -Infinity]])], arithmetic()), /is -Infinity in row 0/],
    [
      'no class that all members allow',
      () => combineOutputs([logits([[0, -Infinity]]), logits([[-Infinity, 0]])], geometric()),
      /no class in row 0.*arithmetic/,
    ],
    ['T = 0', () => arithmetic({ temperature: 0 }), /temperature" must be a finite number > 0/],
    ['a negative weight', () => geometric({ weights: [1, -1] }), /weights\[1\]" must be a finite number ≥ 0/],
    ['weights of nothing', () => logitMean({ weights: [0, 0] }), /sum/],
    [
      'weights for others',
      () => combineOutputs([two], geometric({ weights: [1, 2] })),
      /geometric.weights" must be 1 number/,
    ],
  ])('%s', (_, call, said) => {
    expect(call).toThrow(said)
    expect(call).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^ERR_(ARGUMENT|SHAPE|NUMERIC|NOT_FOUND)$/) }),
    )
  })
})
