import { adamw } from '@imago/optim'
import { rng, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { maxNormAfter } from '../src/max-norm-after.js'

const at = { step: 0, epoch: 0, stepsPerEpoch: 1, epochs: 1 }

it('max-norm behind Adam: rows (or columns) above the limit land on it, the others and the bias are Adam’s own', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(),
      fc.constantFrom('rows' as const, 'columns' as const),
      (rows, columns, seed, units) => {
        const random = rng(seed)
        const draw = (count: number) => Float32Array.from({ length: count }, () => 2 * random.normal())
        const [w, b] = [draw(rows * columns), draw(rows)]
        const gradients = {
          w: tensor('float32', [rows, columns], draw(w.length)),
          b: tensor('float32', [rows], draw(rows)),
        }
        const parameters = () => ({
          w: tensor('float32', [rows, columns], w.slice()),
          b: tensor('float32', [rows], b.slice()),
        })
        const [free, held] = [parameters(), parameters()]
        const limit = 4
        const [plain, limited] = [adamw(), maxNormAfter(adamw(), { limit, units: { w: units } })]
        for (let step = 0; step < 3; step++) {
          plain.step(free, gradients, at)
          limited.step(held, gradients, at)
          expect(held.b.data).toEqual(free.b.data)
          for (let unit = 0; unit < (units === 'rows' ? rows : columns); unit++) {
            const mine = (data: Float32Array) =>
              [...data].filter((_, i) => (units === 'rows' ? Math.floor(i / columns) : i % columns) === unit)
            const [a, z] = [mine(free.w.data), mine(held.w.data)]
            const squared = a.reduce((sum, value) => sum + value * value, 0)
            const factor = squared > limit ? Math.sqrt(limit / squared) : 1
            z.forEach((value, i) => {
              expect(Math.abs(value - factor * a[i]!)).toBeLessThan(1e-5)
            })
          }
          free.w.data.set(held.w.data)
        }
      },
    ),
  )
})
