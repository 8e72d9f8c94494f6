import { builder, evaluateDim, foldConstants } from '@imago/onnx'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { reshapeTarget } from '../../src/fold/reshape-target.js'

const dim = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom('N', 'T', '2*N'))

/** What Reshape makes of a constant target (ONNX operators, Reshape-14 with allowzero 0). */
function reshaped(input: readonly number[], target: readonly number[]): number[] {
  const total = input.reduce((a, b) => a * b, 1)
  const copied = target.map((size, i) => (size === 0 ? input[i]! : size))
  const rest = copied.filter((size) => size !== -1).reduce((a, b) => a * b, 1)
  return copied.map((size) => (size === -1 ? total / rest : size))
}

test('a constant target gives what the symbolic one gives, at any size', () => {
  fc.assert(
    fc.property(
      fc.array(dim, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 0, max: 99 }),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 7 }),
      (target, seed, n, t) => {
        // The input has the same sizes in another order, so that the target fits it.
        const input = target.map((_, i) => target[(i + seed) % target.length]!)
        const folded = reshapeTarget(input, target, false)
        if (folded === undefined) return
        const sizes = new Map([
          ['N', n],
          ['T', t],
        ])
        const at = (shape: readonly (number | string)[]): number[] => shape.map((one) => evaluateDim(one, sizes)!)
        expect(reshaped(at(input), folded)).toEqual(at(target))
      },
    ),
  )
})

test('what cannot be said in constants stays', () => {
  expect(reshapeTarget(['N', 'T'], ['T', 'N'], false)).toBeUndefined()
  expect(reshapeTarget(['N', 4], [2, 2], false)).toBeUndefined()
  expect(reshapeTarget(undefined, ['N', -1], false)).toBeUndefined()
  expect(reshapeTarget(['N', 'T', 8], ['N', 'T', 2, 4], false)).toEqual([0, 0, 2, 4])
  expect(reshapeTarget(['N', 4, 4], ['N', -1], false)).toEqual([0, -1])
  expect(reshapeTarget(['N', 4, 4], ['N', 16], true)).toEqual([-1, 16])
})

test('the chain that computed the sizes is dead code then', () => {
  const b = builder()
  const x = b.input('x', 'float32', ['N', 4, 6])
  const n = b.op('Unsqueeze', [b.op('Gather', [b.op('Shape', [x]), b.constant(int(0))]), b.ints([0])])
  b.op('Reshape', [x, b.op('Concat', [n, b.ints([2, 12])], { axis: 0 })], {}, { outputs: ['y'] })
  b.output('y')
  const graph = foldConstants(b.graph())
  expect(graph.nodes.map((node) => node.op)).toEqual(['Reshape'])
})

function int(value: number): { type: 'int64'; dims: readonly number[]; data: BigInt64Array } {
  return { type: 'int64', dims: [], data: BigInt64Array.of(BigInt(value)) }
}
