import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Tensor, tensor } from '@imago/tensor'
import { expect } from 'vitest'

interface Stored {
  readonly dims: number[]
  readonly data: number[]
}

interface Case {
  readonly inputs: Stored
  readonly cotangent: Stored
  /** Logits with running statistics. */
  readonly inference: number[]
  /** Logits in training mode. */
  readonly outputs: number[]
  readonly gradients: { readonly [name: string]: number[] }
  /** Running statistics after this forward. */
  readonly statistics: { readonly [name: string]: number[] }
}

export function goldenPath(file: string): string {
  return fileURLToPath(new URL(`golden/${file}`, import.meta.url))
}

/** What PyTorch found in float64; golden/make_golden.py. */
export function golden(name: string): readonly Case[] {
  return JSON.parse(readFileSync(goldenPath(`${name}.json`), 'utf8')).cases
}

export function stored({ dims, data }: Stored): Tensor<'float32'> {
  return tensor('float32', dims, Float32Array.from(data))
}

/**
 * ‖got − wanted‖ ≤ tolerance · ‖wanted‖: float32 against float64, as one vector (single entries near 0 have no relative error,
 * nor has a gradient that is 0 but for rounding, as that of a bias before a normalization). */
export function expectNear(got: Tensor, wanted: readonly number[], tolerance: number): void {
  expect(got.data.length).toBe(wanted.length)
  let error = 0
  let size = 0
  for (const [i, value] of wanted.entries()) {
    error += (Number(got.data[i]) - value) ** 2
    size += value ** 2
  }
  expect(Math.sqrt(error)).toBeLessThanOrEqual(tolerance * Math.sqrt(size) + 1e-6)
}
