import type { HiddenTensor, LossGraph } from '@imago/losses'
import { type Rng, rng, type Tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { losses, relational } from './hidden-cases.js'
import { f64, ones, openGraph } from './run-loss.js'

type Feeds = { [input: string]: Tensor<'float64'> }

interface Drawn {
  readonly loss: LossGraph
  readonly rows: number
  /** Student and teacher tensors and parameters by input; `weights` left out. */
  readonly feeds: Feeds
}

const noise = (random: Rng, dims: readonly number[]): Tensor<'float64'> =>
  f64(
    dims,
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal()),
  )

/** A loss over tensors of drawn sizes, as each loss can take them. */
const drawn = (name: string): fc.Arbitrary<Drawn> =>
  fc
    .record({
      seed: fc.nat(),
      rows: fc.integer({ min: 3, max: 5 }),
      channels: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 2, max: 4 })),
      sizes: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
      maps: fc.boolean(),
    })
    .map(({ seed, rows, channels: [c, d], sizes: [h, w], maps }) => {
      const random = rng(seed)
      const inMaps = maps || name === 'attention' || name === 'fsp'
      const spec = (side: string, channels: number, height: number, width: number): HiddenTensor => ({
        name: side,
        dims: inMaps ? [channels, height, width] : [channels + 1],
      })
      // Maps of one position have attention 1 and flows of one product.
      const tall = Math.max(2, h)
      const student = name === 'fsp' ? [spec('a', c, tall, w), spec('b', d, h, w)] : [spec('a', c, tall, w)]
      const teacher = name === 'fsp' ? [spec('a', c, w, w), spec('b', d, w, h)] : [spec('a', d, 2, w)]
      const loss = losses[name]!(student, teacher, 'float64', name === 'hint' || name === 'vid' ? ['regressor'] : [])
      const feeds: Feeds = {}
      for (const { name: input, shape } of loss.graph.inputs)
        if (input !== 'weights')
          feeds[input] = noise(
            random.split(input),
            shape!.map((dim) => (dim === 'N' ? rows : Number(dim))),
          )
      return { loss, rows, feeds }
    })

const runs = { numRuns: 12 }

describe.each(Object.keys(losses))('%s', (name) => {
  it('has the gradients of its value: central differences along a random direction', () =>
    fc.assert(
      fc.asyncProperty(drawn(name), async ({ loss, rows, feeds }) => {
        const open = await openGraph(loss)
        try {
          const weights = f64(
            [rows],
            Array.from({ length: rows }, (_, i) => 0.5 + i),
          )
          const { gradients } = await open.run({ ...feeds, weights })
          const random = rng(rows)
          const ways = Object.fromEntries(
            Object.keys(gradients).map((input) => [input, noise(random.split(input), feeds[input]!.dims).data]),
          )
          const step = 1e-6
          const moved = (sign: number): Feeds =>
            Object.fromEntries(
              Object.entries(feeds).map(([input, { dims, data }]) => [
                input,
                f64(
                  dims,
                  Array.from(data, (x, i) => x + sign * step * (ways[input]?.[i] ?? 0)),
                ),
              ]),
            )
          const [up, down] = [await open.run({ ...moved(1), weights }), await open.run({ ...moved(-1), weights })]
          const along = Object.entries(gradients).reduce(
            (sum, [input, gradient]) => sum + gradient.reduce((inner, g, i) => inner + g * ways[input]![i]!, 0),
            0,
          )
          const size = Math.max(1, ...Object.values(gradients).flat().map(Math.abs))
          expect(Math.abs(along - (up.value - down.value) / (2 * step))).toBeLessThan(2e-4 * size)
        } finally {
          await open.release()
        }
      }),
      // A seed that meets no kink of Relu within a step.
      { ...runs, seed: 1507 },
    ))

  it('does not see rows of weight 0, which may hold anything', () =>
    fc.assert(
      fc.asyncProperty(drawn(name), async ({ loss, rows, feeds }) => {
        const open = await openGraph(loss)
        try {
          const alone = await open.run({ ...feeds, weights: ones([rows]) })
          const more = Object.entries(feeds).map(([input, { dims, data }]) => {
            if (input.startsWith('parameter/')) return [input, f64(dims, [...data])] as const
            const padding = new Array<number>((2 * data.length) / rows).fill(Number.NaN)
            return [input, f64([rows + 2, ...dims.slice(1)], [...data, ...padding])] as const
          })
          const weights = f64([rows + 2], [...new Array<number>(rows).fill(1), 0, 0])
          const padded = await open.run({ ...Object.fromEntries(more), weights })
          expect(padded.value).toBeCloseTo(alone.value, 9)
          for (const [input, gradient] of Object.entries(alone.gradients)) {
            const there = padded.gradients[input]!
            gradient.forEach((g, i) => {
              expect(there[i]).toBeCloseTo(g, 8)
            })
            expect(there.slice(gradient.length).every((g) => g === 0)).toBe(true)
          }
        } finally {
          await open.release()
        }
      }),
      runs,
    ))

  it('is 0 with no gradient where no row counts', () =>
    fc.assert(
      fc.asyncProperty(drawn(name), async ({ loss, rows, feeds }) => {
        const open = await openGraph(loss)
        try {
          const { value, gradients } = await open.run({ ...feeds, weights: f64([rows], new Array(rows).fill(0)) })
          expect(value).toBeCloseTo(0, 300)
          for (const gradient of Object.values(gradients)) expect(gradient.every((g) => g === 0)).toBe(true)
        } finally {
          await open.release()
        }
      }),
      { numRuns: 3 },
    ))

  if (!relational.has(name))
    it('is the weighted mean of its rows', () =>
      fc.assert(
        fc.asyncProperty(drawn(name), async ({ loss, rows, feeds }) => {
          const open = await openGraph(loss)
          try {
            const weights = Array.from({ length: rows }, (_, i) => 1 + i)
            const whole = await open.run({ ...feeds, weights: f64([rows], weights) })
            let sum = 0
            for (let row = 0; row < rows; row++) {
              const one = Object.entries(feeds).map(([input, { dims, data }]) => {
                if (input.startsWith('parameter/')) return [input, f64(dims, [...data])] as const
                const size = data.length / rows
                return [input, f64([1, ...dims.slice(1)], [...data.slice(row * size, (row + 1) * size)])] as const
              })
              sum += weights[row]! * (await open.run({ ...Object.fromEntries(one), weights: ones([1]) })).value
            }
            const mean = sum / weights.reduce((a, b) => a + b)
            expect(Math.abs(whole.value - mean)).toBeLessThan(1e-9 * Math.max(1, Math.abs(mean)))
          } finally {
            await open.release()
          }
        }),
        runs,
      ))
})
