import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rng } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { rms, sampled, stored } from './students/compare.js'
import { filled, type Golden } from './students/golden.js'
import { trained } from './students/trained.js'

/**
 * The 23 students, each as both of PyTorch's exporters write it, through the door that users take: the file's bytes, `openStudent`,
 * twenty steps of SGD with batches of 8, 8 and 5 rows. PyTorch in float64 did the same (students/make.py).
 */
const folder = fileURLToPath(new URL('students/', import.meta.url))
const files = readdirSync(folder).filter((file) => file.endsWith('.onnx'))

/** Of what a weight moved, or, where it hardly moves, of a hundredth of it: float32 against float64. */
const TOLERANCE = 1e-3

it('there are 23, by two exporters', () => {
  expect(files.length).toBe(46)
})

describe.each(files)('%s', (file) => {
  const name = file.replace(/(\.dynamo)?\.onnx$/, '')
  const golden = JSON.parse(readFileSync(`${folder}${name}.json`, 'utf8')) as Golden

  it('trains as PyTorch does', async () => {
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
  })
})
