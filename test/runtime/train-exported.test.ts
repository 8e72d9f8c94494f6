import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crossEntropy, sgd } from '@imago/kernels'
import { encode } from '@imago/onnx'
import { open, openStudent, predictor } from '@imago/runtime'
import { tensor, tensorMap, zeros } from '@imago/tensor'
import { expect, it } from 'vitest'

const file = (name: string): string => fileURLToPath(new URL(`golden/${name}`, import.meta.url))

interface Golden {
  readonly images: number[]
  readonly labels: number[]
  readonly losses: number[]
  readonly state: { readonly [name: string]: number[] }
  readonly probabilities: number[]
}

/** The larger of the absolute and the relative distance, as single numbers near 0 have no relative one. */
function distance(got: ArrayLike<number>, wanted: readonly number[]): number {
  expect(got.length).toBe(wanted.length)
  return Math.max(...wanted.map((value, i) => Math.abs(got[i]! - value) / Math.max(1, Math.abs(value))))
}

it('trains a file that PyTorch exported as PyTorch does, and writes it back with its softmax', async () => {
  const golden: Golden = JSON.parse(readFileSync(file('training.json'), 'utf8'))
  const student = await openStudent(file('training.onnx'), { threads: 1 })
  expect(student.notes.join()).toMatch(/Softmax/)
  const { parameters, differentiable } = student
  const trained = Object.keys(differentiable.parameters)
  const velocities = tensorMap(trained.map((name) => [name, zeros('float32', parameters[name]!.dims)]))
  const rows = (from: number, to: number) => ({
    // Flat, as data sets are: the student takes images.
    input: tensor('float32', [to - from, 64], Float32Array.from(golden.images.slice(64 * from, 64 * to))),
  })

  const losses: number[] = []
  for (let epoch = 0; epoch < 3; epoch++)
    for (const [from, to] of [
      [0, 6],
      [6, 12],
      [12, 15],
    ] as const) {
      const { outputs, updates, pullback } = await differentiable.forward(parameters, rows(from, to))
      const labels = tensor('int32', [to - from], Int32Array.from(golden.labels.slice(from, to)))
      const { value, gradient } = crossEntropy({ student: outputs.logits!, labels })
      const gradients = await pullback({ logits: gradient })
      for (const name of trained)
        sgd({
          parameter: parameters[name]!,
          gradient: gradients[name]!,
          velocity: velocities[name]!,
          rate: 0.05,
          momentum: 0.9,
        })
      for (const name in updates) (parameters[name]!.data as Float32Array).set(updates[name]!.data as Float32Array)
      losses.push(value)
    }

  // Float32 against float64 over nine steps.
  expect(distance(losses, golden.losses)).toBeLessThan(1e-5)
  expect(Object.keys(parameters).sort()).toEqual(Object.keys(golden.state).sort())
  for (const [name, wanted] of Object.entries(golden.state))
    expect(distance(parameters[name]!.data as Float32Array, wanted), name).toBeLessThan(2e-5)

  const folder = await mkdtemp(join(tmpdir(), 'imago-runtime-'))
  try {
    const path = join(folder, 'student.onnx')
    await writeFile(path, encode(student.save(parameters)))
    const session = await open(path)
    const images = tensor('float32', [15, 1, 8, 8], rows(0, 15).input.data)
    const { probabilities } = await session.run({ image: images })
    expect(distance(probabilities!.data as Float32Array, golden.probabilities)).toBeLessThan(1e-5)
    const predict = await predictor(path, { batchSize: 4 })
    const { logits } = await predict(rows(0, 15))
    const own = await student.predict(parameters)(rows(0, 15))
    expect(distance(logits!.data as Float32Array, [...(own.logits!.data as Float32Array)])).toBeLessThan(1e-5)
    await Promise.all([session.dispose(), predict.dispose()])
  } finally {
    await rm(folder, { recursive: true })
    await student.dispose()
  }
})
