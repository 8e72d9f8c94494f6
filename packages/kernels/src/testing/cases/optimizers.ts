import type { Rng } from '@imago/tensor'
import type { KernelBuffer } from '../../binding.js'
import { encodeBfloat16 } from '../../half.js'
import { drawFor, normals } from '../draw.js'
import { elements, largest } from '../judge.js'
import type { Judge, KernelCall, ParityCase, ParityTable } from '../parity-case.js'

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

/** Every setting on every shape, with and without a copy. */
function everyStep<S extends { readonly name: string }>(
  settings: readonly S[],
  make: (setting: S, random: Rng, rows: number, columns: number) => KernelCall,
): ParityCase[] {
  return shapes.flatMap(([rows, columns]) =>
    [false, true].flatMap((copied) =>
      settings.map((setting) => {
        const name = `${rows}×${columns} ${setting.name}${copied ? ' with a copy' : ''}`
        return {
          name,
          make: () => {
            const { buffers, scalars } = make(setting, drawFor(name), rows, columns)
            return { buffers: [...buffers, copied ? new Uint16Array(rows * columns) : null], scalars }
          },
        }
      }),
    ),
  )
}

const sgdCases = everyStep(sgdSettings, (setting, random, rows, columns) => {
  const { momentum, weightDecay, gradientScale, unitAxis, maxSquaredNorm } = setting
  const n = rows * columns
  return {
    buffers: [normals(random, n), normals(random, n, 3), normals(random, n, 0.1)],
    scalars: [rows, columns, 0.1, momentum, weightDecay, gradientScale, unitAxis, maxSquaredNorm],
  }
})

const adamwSettings = [
  { name: 'first step', betas: [0.9, 0.999, 1e-8], weightDecay: 0, gradientScale: 1, step: 1, limit: [-1, 0] },
  { name: 'step 1000', betas: [0.9, 0.999, 1e-8], weightDecay: 0.01, gradientScale: 0.5, step: 1000, limit: [-1, 0] },
  { name: 'step 10⁷', betas: [0.9, 0.95, 1e-6], weightDecay: 0.1, gradientScale: 1, step: 1e7, limit: [-1, 0] },
  { name: 'max-norm by row', betas: [0.9, 0.999, 1e-8], weightDecay: 0, gradientScale: 1, step: 9, limit: [0, 3] },
  { name: 'max-norm by column', betas: [0.9, 0.99, 1e-8], weightDecay: 0.1, gradientScale: 1, step: 9, limit: [1, 3] },
]

const adamwCases = everyStep(adamwSettings, (setting, random, rows, columns) => {
  const { betas, weightDecay, gradientScale, step, limit } = setting
  const n = rows * columns
  const m = step === 1 ? new Float32Array(n) : normals(random, n, 0.1)
  const v = step === 1 ? new Float32Array(n) : normals(random, n, 0.3).map((x) => x * x)
  return {
    buffers: [normals(random, n), normals(random, n), m, v],
    scalars: [rows, columns, 1e-3, ...betas, weightDecay, gradientScale, step, ...limit],
  }
})

function judgeOf(outputs: { readonly [name: string]: number }): Judge {
  return (call, want, got) =>
    Object.entries(outputs).map(([name, i]) => {
      const wanted = want.buffers[i] as Float32Array
      const scale = largest(wanted, call.buffers[i] as KernelBuffer & ArrayLike<number>)
      return elements(name, wanted, got.buffers[i] as Float32Array, 'elementwise', () => scale)
    })
}

/** The copy is judged by the weights that it copies: the same bits as rounding them afterwards. */
function withCopy(judge: Judge, position: number): Judge {
  return (call, want, got) => {
    const copy = got.buffers[position] as Uint16Array | null
    if (copy === null) return judge(call, want, got)
    const rounded = Uint16Array.from(got.buffers[0] as Float32Array, encodeBfloat16)
    return [...judge(call, want, got), elements('copy', rounded, copy, 'exact')]
  }
}

export const sgdTable: ParityTable = {
  cases: sgdCases,
  judge: withCopy(judgeOf({ parameter: 0, velocity: 2 }), 3),
  outputs: [0, 2, 3],
}

export const adamwTable: ParityTable = {
  cases: adamwCases,
  judge: withCopy(judgeOf({ parameter: 0, m: 2, v: 3 }), 4),
  outputs: [0, 2, 3, 4],
}

export const emaTable: ParityTable = {
  cases: [1, 7, 1000, 70_001].flatMap((n) =>
    [0, 0.5, 0.9999, 1].map((decay) => {
      const name = `n=${n} decay ${decay}`
      return {
        name,
        make: () => {
          const random = drawFor(name)
          return { buffers: [normals(random, n), normals(random, n, 3)], scalars: [n, decay] }
        },
      }
    }),
  ),
  judge: judgeOf({ average: 0 }),
  outputs: [0],
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
