import { type Tensor, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backends, fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from '../../src/index.js'

describe.each(backends().filter(({ available }) => available))('half precision on $name', ({ name: backend }) => {
  const ways = [
    { type: 'float16', to: toFloat16, from: fromFloat16, digits: 11, least: 2 ** -24, most: 65504 },
    { type: 'bfloat16', to: toBfloat16, from: fromBfloat16, digits: 8, least: 2 ** -126, most: 3.38e38 },
  ] as const

  test.each(ways)(
    '$type there and back is within half a unit of the last place',
    ({ to, from, digits, least, most }) => {
      fc.assert(
        fc.property(fc.array(fc.float({ min: -65000, max: 65000, noNaN: true }), { maxLength: 70 }), (values) => {
          const x = tensor('float32', [values.length], Float32Array.from(values))
          const back = from({ x: to({ x, backend }) as Tensor, backend })
          expect(back.dims).toEqual(x.dims)
          for (const [i, value] of x.data.entries()) {
            const unit = Math.max(least, 2 ** (Math.floor(Math.log2(Math.abs(value) || 1e-300)) + 1 - digits))
            expect(Math.abs(back.data[i]! - value)).toBeLessThanOrEqual(Math.abs(value) > most ? 32 : unit / 2)
          }
        }),
      )
    },
  )

  test.each(ways)('$type: infinities, NaN, −0, overflow; out is written and given back', ({ type, to, from }) => {
    const x = tensor('float32', [1, 5], Float32Array.of(-0, Infinity, -Infinity, Number.NaN, 3.4e38))
    const out = tensor(type, [1, 5], new Uint16Array(5))
    expect(to({ x, out, backend }).data).toBe(out.data)
    const into = tensor('float32', [1, 5], new Float32Array(5))
    expect(from({ x: out, out: into, backend }).data).toBe(into.data)
    expect([...into.data]).toEqual([-0, Infinity, -Infinity, Number.NaN, Infinity])
  })

  test('other types, other dims and shared memory are refused by name', () => {
    const x = tensor('float32', [2], Float32Array.of(1, 2))
    const half = toFloat16({ x, backend })
    expect(() => toFloat16({ x: half as Tensor, backend })).toThrow(/toFloat16: "x"/)
    expect(() => fromBfloat16({ x: half as Tensor, backend })).toThrow(/fromBfloat16: "x"/)
    expect(() => toFloat16({ x, out: tensor('float16', [3], new Uint16Array(3)), backend })).toThrow(/"out"/)
    const inside = tensor('float16', [2], new Uint16Array(x.data.buffer, 0, 2))
    expect(() => toFloat16({ x, out: inside, backend })).toThrow(/apart/)
  })
})
