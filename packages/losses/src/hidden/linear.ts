import { type Rng, tensor, zeros } from '@imago/tensor'
import type { Scene } from './scene.js'

/** x [M, inputs] · weightᵀ + bias, trained; weights start uniform in ±1/√inputs, biases at 0. */
export function linear(
  scene: Scene,
  x: string,
  name: string,
  sizes: { readonly inputs: number; readonly outputs: number },
  rng: Rng,
  bias: boolean = true,
): string {
  const { inputs, outputs } = sizes
  const random = rng.split(name)
  const limit = 1 / Math.sqrt(inputs)
  const start = Float32Array.from({ length: inputs * outputs }, () => (2 * random.uniform() - 1) * limit)
  const weight = scene.parameter(`${name}.weight`, tensor('float32', [outputs, inputs], start))
  const shift = bias ? [scene.parameter(`${name}.bias`, zeros('float32', [outputs]))] : []
  return scene.b.op('Gemm', [x, weight, ...shift], { transB: 1 })
}
