import { describe, expect, test } from 'vitest'
import { loadAddon } from './addon.js'

const addon = loadAddon()

/** Numbers that look random, `offset` elements into memory of their own. */
function numbers(count: number, scale: number, seed: number, offset: number): Float32Array {
  const view = new Float32Array(new ArrayBuffer(4 * (count + offset)), 4 * offset, count)
  let state = seed
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    view[i] = (state / 2 ** 31 - 1) * scale
  }
  return view
}

const shapes = [
  [1, 1],
  [5, 3],
  [9, 16],
  [40, 33],
  [7, 1024],
  [30, 600],
] as const

// Kernels begin at the next whole vector in memory; sums over a row must not notice. A run that is resumed has other addresses.
describe.skipIf(addon === null).each(addon?.info().available ?? [])('%s: the same bits at every address', (isa) => {
  test.each(shapes)('steps of weights %i × %i, free and with max-norm', (rows, columns) => {
    const own = addon!.info().isa
    addon!.setIsa(isa)
    try {
      const n = rows * columns
      for (const axis of [-1, 0, 1]) {
        const results = Array.from({ length: 17 }, (_, offset) => {
          const array = (seed: number) => numbers(n, 1, seed, (offset * seed) % 17)
          const [p, q, v, m, s] = [array(1), array(2), array(3), array(5), array(7).map(Math.abs)]
          const copy = new Uint16Array(n)
          addon!.call('sgd', [p, array(4), v, copy], [rows, columns, 0.1, 0.9, 0.01, 1, axis, 0.5])
          addon!.call('adamw', [q, array(6), m, s, null], [rows, columns, 0.1, 0.9, 0.99, 1e-8, 0, 1, 3, axis, 0.5])
          addon!.call('ema', [m, p], [n, 0.9])
          return [p, q, v, m, s, copy].map((array) =>
            Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('hex'),
          )
        })
        for (const result of results) expect(result).toEqual(results[0])
      }
    } finally {
      addon!.setIsa(own)
    }
  })
})
