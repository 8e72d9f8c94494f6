import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { batches, dataset, jitterAugment } from '@imago/data'
import { softTarget } from '@imago/losses'
import { encode, lenet5, type Model, mlp } from '@imago/onnx'
import { adamw, cosine, hinton2012, type Optimizer } from '@imago/optim'
import { openStudent, predictor } from '@imago/runtime'
import { fromPredict, rng, tensor, tensorMap } from '@imago/tensor'
import { checkpointFolder, distill } from '@imago/trainer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imago-resume-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const random = rng(12)
const images = tensor(
  'float32',
  [90, 1, 28, 28],
  Float32Array.from({ length: 90 * 784 }, () => random.uniform()),
)
const labels = Array.from({ length: 90 }, () => random.integer(10))

interface Case {
  readonly name: string
  readonly dims: readonly number[]
  readonly model: () => Model
  readonly optimizer: () => Optimizer
}

const dropout = { input: 0.2, hidden: 0.5 }
const cases: readonly Case[] = [
  {
    name: 'mlp with dropout, SGD with momentum ramp and max-norm',
    dims: [90, 784],
    model: () => mlp([784, 30, 20, 10], { rng: rng(1), dropout }),
    optimizer: () =>
      hinton2012({
        momentum: { from: 0.5, to: 0.99, epochs: 2 },
        maxSquaredNorm: { limit: 2, units: { 'fc1.weight': 'rows', 'fc2.weight': 'rows' } },
      }),
  },
  {
    name: 'lenet5, AdamW with a cosine and clipping',
    dims: [90, 1, 28, 28],
    model: () => lenet5({ rng: rng(1) }),
    optimizer: () => adamw({ rate: cosine({ peak: 3e-3 }), weightDecay: 0.01, clip: 1 }),
  },
]

/** A distillation with augmented images, a last smaller batch and 3 epochs of 5 steps; the file that it ends with. */
async function run(one: Case, store?: string, until?: number): Promise<Uint8Array | undefined> {
  const inputs = tensorMap([['input', { ...images, dims: one.dims }]])
  const data = batches(dataset({ inputs, labels, classes: 10 }), { size: 20, rng: rng(3), augment: jitterAugment(2) })
  const teacher = await predictor(mlp([784, 16, 10], { rng: rng(9) }), { threads: 1 })
  const student = await openStudent(one.model(), { threads: 1 })
  const stop = new AbortController()
  try {
    const flat = fromPredict(async ({ input }) =>
      teacher({ input: tensor('float32', [input!.dims[0]!, 784], input!.data as Float32Array) }),
    )
    const reports = distill({
      student,
      targets: flat,
      data,
      loss: softTarget({ temperature: 4, hardWeight: 0.2 }),
      optimizer: one.optimizer(),
      epochs: 3,
      rng: rng(5),
      signal: stop.signal,
      ...(store && { checkpoint: { store: checkpointFolder(store) } }),
    })
    for await (const report of reports) if (report.kind === 'step' && report.step === until) stop.abort('enough')
    return encode(student.save(student.parameters))
  } catch (reason) {
    if (reason === 'enough') return undefined
    throw reason
  } finally {
    await student.dispose()
    await teacher.dispose()
  }
}

describe('a run that is interrupted and resumed writes the file of the undisturbed run, byte for byte', () => {
  it.each(cases)('$name', async (one) => {
    const whole = await run(one)
    const store = join(folder, one.name.slice(0, 4))
    // Inside the first epoch, at an epoch's end, inside the last.
    for (const step of [3, 5, 12]) expect(await run(one, store, step)).toBeUndefined()
    const resumed = await run(one, store)
    expect(Buffer.from(resumed!).equals(whole!)).toBe(true)
  })
})
