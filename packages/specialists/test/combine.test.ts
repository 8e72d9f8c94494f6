import { softmax } from '@imago/kernels'
import { type Predict, type Tensor, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  activeRows,
  type ClassSet,
  combineAnswers,
  combineSpecialists,
  type Expert,
  expertAnswers,
} from '../src/index.js'
import { draws, softmaxRow } from './draws.js'

/** A model that looks its logits up: input [N, 1] is a row of a table [R, C]. Counts the rows that it is asked for. */
function lookUp(table: Tensor<'float32'>): Predict & { asked: number[][] } {
  const width = table.dims[1]!
  const asked: number[][] = []
  const predict: Predict = async ({ input }) => {
    const rows = [...(input!.data as Float32Array)]
    asked.push(rows)
    const out = new Float32Array(rows.length * width)
    for (const [i, r] of rows.entries()) out.set(table.data.subarray(r * width, (r + 1) * width), i * width)
    return { logits: tensor('float32', [rows.length, width], out) }
  }
  return Object.assign(predict, { asked })
}

const ids = (n: number) => ({
  input: tensor(
    'float32',
    [n, 1],
    Float32Array.from({ length: n }, (_, i) => i),
  ),
})

/** The objective of eq. 5 in one row, by its formula. */
function objective(
  q: Float64Array,
  general: Float64Array,
  experts: { classes: readonly number[]; p: Float64Array }[],
): number {
  const kl = (p: number, x: number): number => (p === 0 ? 0 : p * Math.log(p / x))
  let sum = q.reduce((total, x, c) => total + kl(general[c]!, x), 0)
  for (const { classes, p } of experts) {
    const inside = new Set(classes)
    const dustbin = q.reduce((total, x, c) => total + (inside.has(c) ? 0 : x), 0)
    sum += classes.reduce((total, c, i) => total + kl(p[i]!, q[c]!), kl(p[classes.length]!, dustbin))
  }
  return sum
}

/** The paper's way: gradient descent on the logits of q, with halved steps. */
function descend(general: Float64Array, experts: { classes: readonly number[]; p: Float64Array }[]): Float64Array {
  let z = general.map(Math.log)
  let best = objective(softmaxRow(z), general, experts)
  for (let step = 1, i = 0; i < 20_000 && step > 1e-12; i++) {
    const q = softmaxRow(z)
    // dF/dq, then through the softmax: q·(g − Σ q·g).
    const g = general.map((p, c) => -p / q[c]!)
    for (const { classes, p } of experts) {
      const inside = new Set(classes)
      const dustbin = q.reduce((total, x, c) => total + (inside.has(c) ? 0 : x), 0)
      for (let c = 0; c < q.length; c++)
        g[c]! -= inside.has(c) ? p[classes.indexOf(c)]! / q[c]! : p[classes.length]! / dustbin
    }
    const mean = q.reduce((total, x, c) => total + x * g[c]!, 0)
    const next = z.map((value, c) => value - step * q[c]! * (g[c]! - mean))
    const there = objective(softmaxRow(next), general, experts)
    if (there < best) [z, best, step] = [next, there, step * 1.5]
    else step /= 2
  }
  return softmaxRow(z)
}

function problem(seed: number, rows: number, classes: number, count: number) {
  const draw = draws(seed)
  const general = tensor('float32', [rows, classes], draw.normals(rows * classes, 2))
  const sets = Array.from({ length: count }, (_, m): ClassSet => {
    const chosen = Array.from({ length: classes }, (_, c) => c).filter(() => draw.integer(2) === 1)
    if (chosen.length === 0) chosen.push(m % classes)
    if (chosen.length === classes) chosen.pop()
    return { name: `s${m}`, classes: chosen }
  })
  const tables = sets.map((set) =>
    tensor('float32', [rows, set.classes.length + 1], draw.normals(rows * (set.classes.length + 1), 2)),
  )
  return { general, sets, tables }
}

describe('combineSpecialists', () => {
  it('minimises eq. 5: no distribution near by is better, and gradient descent ends there too', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(1e6),
        fc.integer({ min: 3, max: 10 }),
        fc.integer({ min: 1, max: 4 }),
        async (seed, C, count) => {
          const rows = 4
          const { general, sets, tables } = problem(seed, rows, C, count)
          const experts = sets.map((set, m): Expert => ({ set, predict: lookUp(tables[m]!) }))
          // All experts with a class among the C most probable ones: every expert.
          const given = await combineSpecialists({ generalist: lookUp(general), experts, topN: C })(ids(rows))
          expect([...(given.unsolved!.data as Uint8Array)]).toEqual([0, 0, 0, 0])
          expect([...(given.active!.data as Int32Array)]).toEqual(new Array(rows).fill(count))
          for (let r = 0; r < rows; r++) {
            const p = softmaxRow(general.data.slice(r * C, (r + 1) * C))
            const known = sets.map(({ classes }, m) => {
              const width = classes.length + 1
              return { classes, p: softmaxRow(tables[m]!.data.slice(r * width, (r + 1) * width)) }
            })
            const q = softmaxRow((given.logits!.data as Float32Array).slice(r * C, (r + 1) * C))
            const here = objective(q, p, known)
            expect(here).toBeLessThan(objective(descend(p, known), p, known) + 1e-6)
            // First order: at an interior minimum over the simplex all partial derivatives are equal (KKT).
            const partial = p.map((mass, c) => {
              let g = -mass / q[c]!
              for (const { classes, p: own } of known) {
                const at = classes.indexOf(c)
                const dustbin = q.reduce((t, x, k) => t + (classes.includes(k) ? 0 : x), 0)
                g -= at >= 0 ? own[at]! / q[c]! : own[classes.length]! / dustbin
              }
              return g
            })
            for (const g of partial) expect(Math.abs(g + 1 + count)).toBeLessThan(2e-4 * (1 + count))
          }
        },
      ),
      { numRuns: 25 },
    )
  })

  it('with one active specialist is the closed form', async () => {
    const general = tensor('float32', [1, 4], Float32Array.of(2, 1, 0, -1))
    const own = tensor('float32', [1, 3], Float32Array.of(0, 1, -1))
    const set = { name: 's', classes: [1, 0] }
    const { logits } = await combineSpecialists({
      generalist: lookUp(general),
      experts: [{ set, predict: lookUp(own) }],
    })(ids(1))
    const [g, m] = [softmaxRow(general.data), softmaxRow(own.data)]
    const q = softmaxRow(logits!.data as Float32Array)
    expect(q[1]).toBeCloseTo((g[1]! + m[0]!) / 2, 6)
    expect(q[0]).toBeCloseTo((g[0]! + m[1]!) / 2, 6)
    const rest = (g[2]! + g[3]! + m[2]!) / 2
    expect(q[2]).toBeCloseTo((rest * g[2]!) / (g[2]! + g[3]!), 6)
    expect(q[3]).toBeCloseTo((rest * g[3]!) / (g[2]! + g[3]!), 6)
  })

  it('asks each specialist once, for the rows where its set has one of the n best classes, and no others', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1e6), fc.integer({ min: 1, max: 3 }), async (seed, n) => {
        const [rows, C] = [17, 8]
        const { general, sets, tables } = problem(seed, rows, C, 3)
        const models = tables.map(lookUp)
        const given = await combineSpecialists({
          generalist: lookUp(general),
          experts: sets.map((set, m) => ({ set, predict: models[m]! })),
          topN: n,
        })(ids(rows))
        const best = Array.from({ length: rows }, (_, r) => {
          const z = general.data.subarray(r * C, (r + 1) * C)
          return [...z.keys()].sort((a, b) => z[b]! - z[a]!).slice(0, n)
        })
        for (const [m, { classes }] of sets.entries()) {
          const wanted = [...best.keys()].filter((r) => best[r]!.some((c) => classes.includes(c)))
          expect(models[m]!.asked).toEqual(wanted.length > 0 ? [wanted] : [])
        }
        const counts = best.map((own) => sets.filter(({ classes }) => own.some((c) => classes.includes(c))).length)
        expect([...(given.active!.data as Int32Array)]).toEqual(counts)
        for (const [r, count] of counts.entries()) {
          if (count > 0) continue
          const q = softmaxRow((given.logits!.data as Float32Array).slice(r * C, (r + 1) * C))
          for (const [c, p] of softmaxRow(general.data.slice(r * C, (r + 1) * C)).entries())
            expect(q[c]).toBeCloseTo(p, 5)
        }
        // Rows one by one are the rows together.
        const one = combineSpecialists({
          generalist: lookUp(general),
          experts: sets.map((set, m) => ({ set, predict: lookUp(tables[m]!) })),
          topN: n,
        })
        const { logits } = await one({ input: tensor('float32', [1, 1], Float32Array.of(rows - 1)) })
        expect(logits!.data).toEqual((given.logits!.data as Float32Array).slice((rows - 1) * C))
      }),
      { numRuns: 20 },
    )
  })

  it('calls that go on at the same time do not disturb each other', async () => {
    const [rows, C] = [40, 6]
    const { general, sets, tables } = problem(12, rows, C, 3)
    // Each answers later the more rows it has been given, so that calls overlap.
    const slow = (table: Tensor<'float32'>): Predict => {
      const predict = lookUp(table)
      return async (inputs) => {
        const turns = inputs.input!.data.length % 5
        for (let i = 0; i <= turns; i++) await new Promise((resolve) => setImmediate(resolve))
        return predict(inputs)
      }
    }
    const whole = combineSpecialists({
      generalist: slow(general),
      experts: sets.map((set, m) => ({ set, predict: slow(tables[m]!) })),
    })
    const part = (from: number, to: number) => ({
      input: tensor(
        'float32',
        [to - from, 1],
        Float32Array.from({ length: to - from }, (_, i) => from + i),
      ),
    })
    const spans: [number, number][] = Array.from({ length: 8 }, (_, i) => [4 * i, 4 * i + 3 + (i % 5)])
    const alone = []
    for (const [from, to] of spans) alone.push(await whole(part(from, to)))
    const together = await Promise.all(spans.map(([from, to]) => whole(part(from, to))))
    expect(together).toEqual(alone)
  })

  it('says which rows ran into the limit', async () => {
    const { general, sets, tables } = problem(4, 6, 8, 4)
    const experts = sets.map((set, m): Expert => ({ set, predict: lookUp(tables[m]!) }))
    const { unsolved } = await combineSpecialists({ generalist: lookUp(general), experts, topN: 8, mostSteps: 1 })(
      ids(6),
    )
    expect([...(unsolved!.data as Uint8Array)]).toEqual([1, 1, 1, 1, 1, 1])
  })

  it('names the specialist that failed, or that does not fit its set', async () => {
    const { general, sets, tables } = problem(8, 3, 5, 2)
    const fails: Predict = async () => {
      throw new Error('no such file')
    }
    const run = (experts: Expert[], generalist: Predict = lookUp(general)) =>
      combineSpecialists({ generalist, experts, topN: 5 })(ids(3))
    await expect(run([{ set: sets[0]!, predict: fails }])).rejects.toThrow(/experts\[0\] "s0" failed: no such file/)
    await expect(run([], fails)).rejects.toThrow(/the generalist failed/)
    const narrow = lookUp(tensor('float32', [3, 1], new Float32Array(3)))
    await expect(run([{ set: sets[0]!, predict: narrow }])).rejects.toThrow(
      new RegExp(`logits of s0" must be \\[N=3, ${sets[0]!.classes.length + 1}\\], got \\[3, 1\\]`),
    )
    await expect(run([{ set: { name: 'e', classes: [] }, predict: lookUp(tables[0]!) }])).rejects.toThrow(
      /experts\[0\]\.set\.classes/,
    )
    expect(() => combineSpecialists({ generalist: fails, experts: [], topN: 0 })).toThrow(/topN/)
  })

  it('refuses more than 32 active specialists in a row', async () => {
    const C = 5
    const table = tensor('float32', [1, 3], new Float32Array(3))
    const experts = Array.from({ length: 33 }, (_, m) => ({
      set: { name: `s${m}`, classes: [0, 1 + (m % 4)] },
      predict: lookUp(table),
    }))
    const generalist = lookUp(tensor('float32', [1, C], Float32Array.of(9, 0, 0, 0, 0)))
    await expect(combineSpecialists({ generalist, experts })(ids(1))).rejects.toThrow(
      /33 active experts in row 0, at most 32/,
    )
  })
})

describe('an expert with all classes', () => {
  it('is folded into its set and the dustbin, the offset on all classes outside', () => {
    const z = tensor('float32', [2, 5], draws(3).normals(10, 2))
    const expert: Expert = { set: { name: 's', classes: [4, 1] }, predict: lookUp(z), head: 'full', offset: 0.7 }
    const p = expertAnswers('test', expert, z, 5)
    for (let r = 0; r < 2; r++) {
      const moved = z.data.slice(r * 5, (r + 1) * 5).map((x, c) => (c === 4 || c === 1 ? x : x + 0.7))
      const q = softmaxRow(moved)
      for (const [i, value] of [q[4]!, q[1]!, q[0]! + q[2]! + q[3]!].entries())
        expect(p.data[r * 3 + i]).toBeCloseTo(value, 6)
    }
  })

  it('where the dustbin is one class, a dustbin head and a full head say the same', () => {
    const z = tensor('float32', [1, 3], Float32Array.of(0.3, -1, 2))
    const set = { name: 's', classes: [2, 0] }
    const reordered = tensor('float32', [1, 3], Float32Array.of(2, 0.3, -1))
    const full = expertAnswers('test', { set, predict: lookUp(z), head: 'full' }, z, 3)
    const own = expertAnswers('test', { set, predict: lookUp(z) }, reordered, 3)
    for (const [i, p] of own.data.entries()) expect(full.data[i]).toBeCloseTo(p, 6)
  })
})

it('stored answers combine as the models do', () => {
  const { general, sets, tables } = problem(21, 5, 6, 2)
  const p = softmax({ logits: general })
  const rows = activeRows(general, sets, 6)
  const answers = sets.map((set, m) => ({ set, rows: rows[m]!, probabilities: softmax({ logits: tables[m]! }) }))
  const { q, unsolved } = combineAnswers({ general: p, answers })
  expect(unsolved).toBe(0)
  expect(q.dims).toEqual([5, 6])
})
