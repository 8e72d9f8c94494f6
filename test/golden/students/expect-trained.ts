import { readFileSync } from 'node:fs'
import { rng } from '@imago/tensor'
import { expect } from 'vitest'
import { rms, sampled, stored } from './compare.js'
import { filled, type Golden } from './golden.js'
import { trained } from './trained.js'

/** Of what a weight moved, or, where it hardly moves, of a hundredth of it: float32 against float64. */
const TOLERANCE = 1e-3

/** Train a file (path without ending, and `.onnx` or `.dynamo.onnx`) through `openStudent`, and hold every weight against PyTorch's. */
export async function expectTrained(folder: string, file: string): Promise<void> {
  const name = file.replace(/(\.dynamo)?\.onnx$/, '')
  const golden = JSON.parse(readFileSync(`${folder}${name}.json`, 'utf8')) as Golden
  const random = rng(golden.seed).split(name)
  const run = await trained(filled(readFileSync(folder + file), golden, random), golden, random)

  // Every weight of the module is found by its name, and nothing else is taken for one.
  expect(Object.keys(run.gradientNorms).sort()).toEqual(Object.keys(golden.gradients).sort())
  expect(Object.keys(run.after).sort()).toEqual(Object.keys(golden.after).sort())
  for (const [step, wanted] of golden.losses.entries())
    expect(Math.abs(run.losses[step]! - wanted), `loss of step ${step}`).toBeLessThan(1e-5 * wanted)

  // Gradients that are 0 but for rounding (biases before a normalization) have no relative error.
  const largest = Math.max(...Object.values(golden.gradients))
  for (const [weight, wanted] of Object.entries(golden.gradients))
    expect(Math.abs(run.gradientNorms[weight]! - wanted), `gradient of ${weight}`).toBeLessThan(
      TOLERANCE * Math.max(wanted, 1e-3 * largest),
    )

  for (const [weight, { sample, norm, moved }] of Object.entries(golden.after)) {
    const data = run.after[weight]!.data as Float32Array
    const limit = TOLERANCE * Math.min(norm, Math.max(moved, 0.01 * norm))
    expect(Math.abs(run.moved[weight]! - moved), `how far ${weight} moved`).toBeLessThan(limit)
    const wanted = stored(sample)
    const errors = sampled(random, weight, data.length).map((at, i) => data[at]! - wanted[i]!)
    expect(rms(errors), weight).toBeLessThan(limit / Math.sqrt(data.length))
  }
}
