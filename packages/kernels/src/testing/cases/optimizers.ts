import type { KernelBuffer } from '../../binding.js'
import { drawFor, normals } from '../draw.js'
import { elements, largest } from '../judge.js'
import type { Judge, ParityCase, ParityTable } from '../parity-case.js'

const shapes: readonly (readonly [number, number])[] = [
  [1, 1],
  [1, 7],
  [3, 5],
  [64, 33],
  [33, 64],
  [257, 131],
  [1, 70_001],
]

const sgdSettings = [
  { name: 'plain', momentum: 0, weightDecay: 0, gradientScale: 1, unitAxis: -1, maxSquaredNorm: 0 },
  { name: 'momentum', momentum: 0.9, weightDecay: 0, gradientScale: 1, unitAxis: -1, maxSquaredNorm: 0 },
  { name: 'decay and scale', momentum: 0.5, weightDecay: 1e-2, gradientScale: 0.125, unitAxis: -1, maxSquaredNorm: 0 },
  { name: 'max-norm by row', momentum: 0.9, weightDecay: 0, gradientScale: 1, unitAxis: 0, maxSquaredNorm: 3 },
  { name: 'max-norm by column', momentum: 0.9, weightDecay: 1e-4, gradientScale: 1, unitAxis: 1, maxSquaredNorm: 3 },
  { name: 'max-norm out of reach', momentum: 0.9, weightDecay: 0, gradientScale: 1, unitAxis: 0, maxSquaredNorm: 1e9 },
]

const sgdCases: ParityCase[] = shapes.flatMap(([rows, columns]) =>
  sgdSettings.map(({ name: setting, momentum, weightDecay, gradientScale, unitAxis, maxSquaredNorm }) => {
    const name = `${rows}×${columns} ${setting}`
    return {
      name,
      make: () => {
        const random = drawFor(name)
        const n = rows * columns
        return {
          buffers: [normals(random, n), normals(random, n, 3), normals(random, n, 0.1)],
          scalars: [rows, columns, 0.1, momentum, weightDecay, gradientScale, unitAxis, maxSquaredNorm],
        }
      },
    }
  }),
)

const adamwSettings = [
  { name: 'first step', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, gradientScale: 1, step: 1 },
  { name: 'step 1000', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, gradientScale: 0.5, step: 1000 },
  { name: 'step 10⁷', beta1: 0.9, beta2: 0.95, epsilon: 1e-6, weightDecay: 0.1, gradientScale: 1, step: 1e7 },
]

const adamwCases: ParityCase[] = [1, 7, 1000, 70_001].flatMap((n) =>
  adamwSettings.map(({ name: setting, beta1, beta2, epsilon, weightDecay, gradientScale, step }) => {
    const name = `n=${n} ${setting}`
    return {
      name,
      make: () => {
        const random = drawFor(name)
        const m = step === 1 ? new Float32Array(n) : normals(random, n, 0.1)
        const v = step === 1 ? new Float32Array(n) : normals(random, n, 0.3).map((x) => x * x)
        return {
          buffers: [normals(random, n), normals(random, n), m, v],
          scalars: [n, 1e-3, beta1, beta2, epsilon, weightDecay, gradientScale, step],
        }
      },
    }
  }),
)

function judgeOf(outputs: { readonly [name: string]: number }): Judge {
  return (call, want, got) =>
    Object.entries(outputs).map(([name, i]) => {
      const wanted = want.buffers[i] as Float32Array
      const scale = largest(wanted, call.buffers[i] as KernelBuffer & ArrayLike<number>)
      return elements(name, wanted, got.buffers[i] as Float32Array, 'elementwise', () => scale)
    })
}

export const sgdTable: ParityTable = {
  cases: sgdCases,
  judge: judgeOf({ parameter: 0, velocity: 2 }),
  outputs: [0, 2],
}

export const adamwTable: ParityTable = {
  cases: adamwCases,
  judge: judgeOf({ parameter: 0, m: 2, v: 3 }),
  outputs: [0, 2, 3],
}

export const squaredNormTable: ParityTable = {
  cases: [1, 3, 16, 1000, 70_001].flatMap((n) =>
    [1, 1e18, 1e-18].map((scale) => ({
      name: `n=${n} scale ${scale}`,
      make: () => ({ buffers: [normals(drawFor(`norm ${n}`), n, scale), new Float64Array(1)], scalars: [n] }),
    })),
  ),
  judge: (_, want, got) => [
    elements('result[0]', want.buffers[1] as Float64Array, got.buffers[1] as Float64Array, 'float64Sum'),
  ],
  outputs: [1],
}
