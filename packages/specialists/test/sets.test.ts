import { covariance, covarianceOf, type Moments } from '@imago/kernels'
import { rng, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { confusionClusters, countPredictions, predictionMoments, summarizeSets } from '../src/index.js'
import { draws, softmaxRow } from './draws.js'

/** Logits of a generalist that sees which of `groups` a row is of, and hesitates inside it: group g has the classes ≡ g modulo `groups`. */
function hesitant(rows: number, classes: number, groups: number, seed: number) {
  const draw = draws(seed)
  const z = draw.normals(rows * classes, 1)
  for (let r = 0; r < rows; r++) for (let c = r % groups; c < classes; c += groups) z[r * classes + c]! += 6
  return tensor('float32', [rows, classes], z)
}

const momentsOf = (...parameters: Parameters<typeof hesitant>): Moments =>
  countPredictions({ logits: hesitant(...parameters) })

describe('the covariance of predictions', () => {
  it('is that of the definition, whatever the batches', async () => {
    const [rows, C] = [200, 6]
    const logits = hesitant(rows, C, 2, 3)
    const p = Array.from({ length: rows }, (_, r) => softmaxRow(logits.data.slice(r * C, (r + 1) * C)))
    const sizes = [1, 7, 64, 128]
    let at = 0
    const batches = sizes.map((size) => {
      const z = tensor('float32', [size, C], logits.data.slice(at * C, (at + size) * C))
      at += size
      return { inputs: { z } }
    })
    const told: number[] = []
    const moments = await predictionMoments({
      generalist: async ({ z }) => ({ logits: z! }),
      batches,
      onRows: (n) => told.push(n),
    })
    expect(told).toEqual([1, 8, 72, 200])
    const mean = (c: number): number => p.reduce((sum, row) => sum + row[c]!, 0) / rows
    const found = covarianceOf(moments).data
    for (let i = 0; i < C; i++)
      for (let j = 0; j < C; j++) {
        const expected = p.reduce((sum, row) => sum + (row[i]! - mean(i)) * (row[j]! - mean(j)), 0) / rows
        expect(found[i * C + j]).toBeCloseTo(expected, 7)
      }
  })

  it('stops where it is told to, and names an output that is not there', async () => {
    const batches = [{ inputs: {} }]
    const generalist = async () => ({ scores: tensor('float32', [1, 3], new Float32Array(3)) })
    await expect(predictionMoments({ generalist, batches })).rejects.toThrow(/"output" must be one of scores/)
    await expect(
      predictionMoments({ generalist, batches, output: 'scores', signal: AbortSignal.abort(new Error('enough')) }),
    ).rejects.toThrow('enough')
    await expect(predictionMoments({ generalist, batches: [] })).rejects.toThrow(/at least one batch/)
  })
})

describe('confusionClusters', () => {
  it.each(['covariance', 'correlation'] as const)(
    'finds the groups that a generalist hesitates inside (%s)',
    (columns) => {
      fc.assert(
        fc.property(
          fc.integer({ min: 2, max: 4 }),
          fc.integer({ min: 2, max: 4 }),
          fc.nat(1e6),
          (groups, width, seed) => {
            const C = groups * width
            const { sets, clusters, order } = confusionClusters({
              moments: momentsOf(400, C, groups, seed),
              count: groups,
              columns,
              rng: rng(seed),
            })
            expect(sets.map(({ classes }) => classes)).toEqual(
              Array.from({ length: groups }, (_, g) => Array.from({ length: width }, (_, i) => g + i * groups)),
            )
            expect(new Set(clusters).size).toBe(groups)
            expect([...order].sort((a, b) => a - b)).toEqual([...Array(C).keys()])
            expect([...order].map((c) => clusters[c]!)).toEqual([...clusters].sort((a, b) => a - b))
          },
        ),
        { numRuns: 15 },
      )
    },
  )

  it('sets of a fixed size overlap, leave classes out, and are the nearest columns', () => {
    const moments = momentsOf(600, 12, 3, 9)
    const { sets } = confusionClusters({ moments, count: 3, size: 6, rng: rng(1) })
    for (const { classes } of sets) {
      expect(classes).toHaveLength(6)
      // All four of one group are in it, before any other.
      expect([0, 1, 2].some((g) => [0, 1, 2, 3].every((i) => classes.includes(g + 3 * i)))).toBe(true)
    }
    const small = confusionClusters({ moments, count: 3, size: 2, rng: rng(1) })
    const { uncovered, covering } = summarizeSets({ sets: small.sets, moments })
    expect(uncovered).toHaveLength(6)
    expect(covering.reduce((a, b) => a + b)).toBe(6)
  })

  it('the same seed gives the same sets, and more restarts never a worse clustering', () => {
    const moments = countPredictions({ logits: tensor('float32', [300, 20], draws(2).normals(6000, 3)) })
    const at = (seed: number, restarts: number) => confusionClusters({ moments, count: 5, rng: rng(seed), restarts })
    expect(at(3, 4)).toEqual(at(3, 4))
    for (const seed of [1, 2, 3, 4]) expect(at(seed, 12).inertia).toBeLessThanOrEqual(at(seed, 1).inertia)
    expect(new Set([1, 2, 3, 4].map((seed) => at(seed, 1).inertia)).size).toBeGreaterThan(1)
  })

  it('every partition has each class once or says why not', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 9 }), fc.nat(1e6), fc.integer({ min: 2, max: 9 }), (C, seed, wanted) => {
        const moments = countPredictions({ logits: tensor('float32', [30, C], draws(seed).normals(30 * C, 2)) })
        const count = Math.min(wanted, C - 1)
        const { sets, notes } = confusionClusters({ moments, count, rng: rng(seed) })
        const all = sets.flatMap(({ classes }) => classes)
        expect(new Set(all).size).toBe(all.length)
        expect(all.length + notes.length).toBe(C)
      }),
    )
  })

  it('a set that comes twice is there once, and that is said', () => {
    const { sets, notes } = confusionClusters({ moments: momentsOf(300, 4, 2, 1), count: 4, size: 3, rng: rng(1) })
    expect(sets.length + notes.length).toBe(4)
    expect(new Set(sets.map(({ classes }) => classes.join())).size).toBe(sets.length)
  })

  it('refuses what gives no sets', () => {
    const moments = momentsOf(60, 6, 2, 1)
    const random = rng(1)
    expect(() => confusionClusters({ moments: momentsOf(60, 2, 2, 1), count: 1, size: 1, rng: random })).toThrow(
      /at least three classes/,
    )
    const flat = countPredictions({ logits: tensor('float32', [9, 4], new Float32Array(36)) })
    expect(() => confusionClusters({ moments: flat, count: 2, rng: random })).toThrow(/the covariance matrix is zero/)
    for (const [options, says] of [
      [{ count: 1 }, /"count" must be a whole number in \[2, 6\]/],
      [{ count: 7 }, /count/],
      [{ count: 2.5 }, /count/],
      [{ count: 2, size: 1 }, /"size" must be a whole number in \[2, 5\]/],
      [{ count: 2, size: 6 }, /size/],
      [{ count: 2, restarts: 0 }, /restarts/],
      [{ count: 6 }, /take fewer clusters/],
    ] as const)
      expect(() => confusionClusters({ moments, rng: random, ...options })).toThrow(says)
    const none = covariance({ x: tensor('float32', [0, 4], new Float32Array(0)) })
    expect(() => confusionClusters({ moments: none, count: 2, rng: random })).toThrow(/more than 0 rows/)
  })

  it('classes that are never predicted do not stop it', () => {
    const C = 7
    const z = hesitant(300, C, 2, 4)
    for (let r = 0; r < 300; r++) z.data[r * C + 6] = Number.NEGATIVE_INFINITY
    const moments = countPredictions({ logits: z })
    for (const columns of ['covariance', 'correlation'] as const) {
      const { clusters } = confusionClusters({ moments, count: 2, columns, rng: rng(1) })
      const [even, odd] = [clusters[0]!, clusters[1]!]
      expect([...clusters.slice(0, 6)]).toEqual([even, odd, even, odd, even, odd])
      expect(odd).toBe(1 - even)
    }
  })
})

describe('summarizeSets', () => {
  it('has cohesion by its definition, and it is higher inside than outside of what was found', () => {
    const moments = momentsOf(500, 6, 2, 11)
    const { sets } = confusionClusters({ moments, count: 2, rng: rng(1) })
    const summary = summarizeSets({ sets, moments, names: ['a', 'b', 'c', 'd', 'e', 'f'] })
    expect(summary.sets.map(({ classes }) => classes)).toEqual([
      ['a', 'c', 'e'],
      ['b', 'd', 'f'],
    ])
    const v = covarianceOf(moments).data
    const r = (i: number, j: number): number => v[i * 6 + j]! / Math.sqrt(v[i * 6 + i]! * v[j * 6 + j]!)
    expect(summary.sets[0]!.cohesion).toBeCloseTo((r(0, 2) + r(0, 4) + r(2, 4)) / 3, 10)
    for (const { cohesion, outside } of summary.sets) expect(cohesion).toBeGreaterThan(outside + 0.2)
    expect(summary.sets.reduce((sum, { mass }) => sum + mass, 0)).toBeCloseTo(1, 6)
    expect(summary.uncovered).toEqual([])
    expect(summarizeSets({ sets: sets.slice(1), moments }).uncovered).toEqual(['0', '2', '4'])
  })
})
