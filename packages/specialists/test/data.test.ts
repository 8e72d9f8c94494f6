import { type Batch, dataset } from '@imago/data'
import { rng, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dustbinLabels, halfHalf, labelsOf, specialHardLoss, withDustbin } from '../src/index.js'
import { draws, softmaxRow } from './draws.js'

/** Rows whose input is their own number. */
function numbered(labels: readonly number[], classes?: number) {
  const x = tensor(
    'float32',
    [labels.length, 1],
    Float32Array.from(labels, (_, i) => i),
  )
  return dataset({ inputs: { x }, labels, ...(classes !== undefined && { classes }) })
}

async function epoch(batches: { epoch(e: number, from?: number): AsyncIterable<Batch> }, e: number, from = 0) {
  const all: Batch[] = []
  for await (const batch of batches.epoch(e, from)) all.push(batch)
  return all
}

const set = { name: 'odd', classes: [3, 1] }

describe('withDustbin', () => {
  it('gives places in the set, the dustbin to all others, and leaves what has no class', () => {
    const view = withDustbin(numbered([0, 1, 2, 3, 4, -1], 5), set, 5)
    expect(view.classes).toBe(3)
    const { labels, ids, inputs } = view.rows(Uint32Array.of(5, 3, 1, 0, 4))
    expect([...labels!]).toEqual([-1, 0, 1, 2, 2])
    expect([...ids]).toEqual([5, 3, 1, 0, 4])
    expect([...(inputs.x!.data as Float32Array)]).toEqual([5, 3, 1, 0, 4])
  })
})

describe('halfHalf', () => {
  it('is half special and half others, every epoch, each half evenly used', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: -1, max: 4 }), { minLength: 4, maxLength: 60 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 2, max: 90 }),
        fc.nat(1e6),
        async (drawn, size, rows, seed) => {
          const labels = [...drawn, 1, 0]
          const batches = halfHalf({ source: numbered(labels, 5), set, size, rows, rng: rng(seed) })
          const special = labels.flatMap((y, i) => (y === 1 || y === 3 ? [i] : []))
          const rest = labels.flatMap((y, i) => (y === 0 || y === 2 || y === 4 ? [i] : []))
          expect(batches.trueShare).toBeCloseTo(special.length / (special.length + rest.length), 12)
          for (const e of [0, 1]) {
            const all = await epoch(batches, e)
            expect(all).toHaveLength(batches.length)
            const ids = all.flatMap((batch) => [...batch.ids])
            expect(ids).toHaveLength(rows)
            for (const [half, count] of [
              [special, Math.ceil(rows / 2)],
              [rest, Math.floor(rows / 2)],
            ] as const) {
              const times = half.map((id) => ids.filter((other) => other === id).length)
              expect(times.reduce((a, b) => a + b)).toBe(count)
              expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(1)
            }
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('can be entered at any batch, comes in another order in each epoch, and is mapped', async () => {
    const labels = Array.from({ length: 40 }, (_, i) => i % 5)
    const batches = halfHalf({ source: numbered(labels), set, size: 6, rng: rng(2), map: dustbinLabels(set, 5) })
    expect(batches.rows).toBe(32)
    const whole = await epoch(batches, 3)
    expect(await epoch(batches, 3, 2)).toEqual(whole.slice(2))
    expect((await epoch(batches, 4))[0]!.ids).not.toEqual(whole[0]!.ids)
    const seen = whole.flatMap(({ ids, labels: own }) => [...ids].map((id, i) => [id, own![i]!] as const))
    for (const [id, label] of seen) expect(label).toBe([2, 1, 2, 0, 2][id % 5])
    expect(seen.filter(([, label]) => label === 2)).toHaveLength(16)
  })

  it('takes a generalist’s answers for labels, and refuses halves without rows', () => {
    const x = tensor('float32', [4, 1], new Float32Array(4))
    const bare = dataset({ inputs: { x } })
    const labels = Int32Array.of(1, 0, 3, 2)
    expect(halfHalf({ source: bare, labels, classes: 5, set, size: 2, rng: rng(1) }).rows).toBe(4)
    expect(() => halfHalf({ source: bare, classes: 5, set, size: 2, rng: rng(1) })).toThrow(/no labels/)
    expect(() => halfHalf({ source: bare, labels, set, size: 2, rng: rng(1) })).toThrow(/"classes" must be given/)
    expect(() => halfHalf({ source: numbered([0, 2], 5), set, size: 2, rng: rng(1) })).toThrow(
      /rows of the special classes of "odd"/,
    )
    expect(() => halfHalf({ source: numbered([1, 3], 5), set, size: 2, rng: rng(1) })).toThrow(/the rest classes/)
    expect(() => halfHalf({ source: numbered([1, 0], 5), set, size: 0, rng: rng(1) })).toThrow(/"size"/)
    expect(() =>
      halfHalf({ source: numbered([1, 0], 5), set: { name: 'a', classes: [1, 1] }, size: 1, rng: rng(1) }),
    ).toThrow(/different classes/)
  })

  it('labels are read in parts', () => {
    const labels = Array.from({ length: 3000 }, (_, i) => i % 7)
    expect([...labelsOf(numbered(labels))]).toEqual(labels)
  })
})

describe('specialHardLoss (section 6.1)', () => {
  const [N, C, T] = [7, 5, 2]
  const draw = draws(6)
  const v = tensor('float32', [N, C], draw.normals(N * C, 2))
  const labels = tensor('int32', [N], Int32Array.of(1, 0, 3, -1, -100, 2, 1))
  const loss = specialHardLoss({ set, classes: C, temperature: T })

  /** The formula, in float64. */
  function value(z: Float64Array): number {
    let [sum, rows] = [0, 0]
    for (let r = 0; r < N; r++) {
      const y = labels.data[r]!
      if (y === -100) continue
      rows++
      const row = z.slice(r * C, (r + 1) * C)
      if (y === 1 || y === 3) sum -= Math.log(softmaxRow(row)[y]!)
      else {
        const [p, q] = [
          softmaxRow(Float64Array.from(v.data.slice(r * C, (r + 1) * C), (x) => x / T)),
          softmaxRow(row.map((x) => x / T)),
        ]
        sum += T * T * p.reduce((total, x, c) => total + x * Math.log(x / q[c]!), 0)
      }
    }
    return sum / rows
  }

  it('is the formula, and its gradient that of finite differences', () => {
    const z = tensor('float32', [N, C], draw.normals(N * C, 2))
    const { value: got, parts, cotangents } = loss.evaluate({ logits: z }, { logits: v, labels })
    const wide = Float64Array.from(z.data)
    expect(got).toBeCloseTo(value(wide), 5)
    expect(parts.hard! + parts.soft!).toBeCloseTo(got, 12)
    const h = 1e-4
    for (let i = 0; i < N * C; i++) {
      const [up, down] = [wide.slice(), wide.slice()]
      up[i]! += h
      down[i]! -= h
      expect((cotangents.logits!.data as Float32Array)[i]).toBeCloseTo((value(up) - value(down)) / (2 * h), 4)
    }
  })

  it('with rows of one kind alone is that term, and refuses labels that are none', () => {
    const z = tensor('float32', [N, C], draw.normals(N * C, 2))
    const all = (y: number) => tensor('int32', [N], new Int32Array(N).fill(y))
    expect(loss.evaluate({ logits: z }, { logits: v, labels: all(3) }).parts.soft).toBe(0)
    expect(loss.evaluate({ logits: z }, { logits: v, labels: all(2) }).parts.hard).toBe(0)
    expect(loss.evaluate({ logits: z }, { logits: v, labels: all(-100) }).value).toBe(0)
    expect(() => loss.evaluate({ logits: z }, { logits: v, labels: all(5) })).toThrow(/labels\[0\]/)
    expect(() => loss.evaluate({ logits: z }, { labels: all(1) })).toThrow(/no tensor "logits"/)
  })
})
