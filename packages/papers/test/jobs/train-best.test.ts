import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { batches, digits, split, subset } from '@imago/data'
import { hardLabel } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { adamw } from '@imago/optim'
import { predictor } from '@imago/runtime'
import { rng } from '@imago/tensor'
import { claimRunFolder, evaluate } from '@imago/trainer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BestResult, trainBest } from '../../src/jobs/train-best.js'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-best-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const { train, validation } = split(digits({ seed: 9, train: 700, test: 1 }).train, { validation: 500, rng: rng(1) })

/** Few rows and a rate that is too high: held-out errors go up and down. */
async function run(path: string, stopAt?: number, evaluateEvery = 1): Promise<BestResult> {
  const folder = await claimRunFolder(path, { test: true })
  const stop = new AbortController()
  try {
    const training = trainBest(
      {
        model: mlp([784, 16, 10], { rng: rng(2) }),
        data: batches(
          subset(
            train,
            Array.from({ length: 150 }, (_, i) => i),
          ),
          { size: 25, rng: rng(3) },
        ),
        heldOut: validation,
        loss: hardLabel(),
        optimizer: adamw({ rate: 0.05 }),
        epochs: 12,
        evaluateEvery,
        rng: rng(4),
        threads: 1,
      },
      { folder, file: () => '', signal: stop.signal },
    )
    for (;;) {
      const { value, done } = await training.next()
      if (done) return value
      if (value.kind === 'step' && value.step === stopAt) stop.abort(new Error('enough'))
    }
  } finally {
    await folder.release()
  }
}

async function errors(path: string): Promise<number> {
  const predict = await predictor(path, { threads: 1 })
  try {
    return (await evaluate({ predict, data: batches(validation, { size: 100, shuffle: false }) })).errors
  } finally {
    await predict.dispose()
  }
}

describe('early stopping', () => {
  it('keeps the first of the best epochs and the last one, as files', async () => {
    const path = join(root, 'whole')
    const { best, last, curve } = await run(path)
    expect(curve.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1))
    const fewest = Math.min(...curve.map((one) => one.errors))
    expect(best).toEqual(curve.find((one) => one.errors === fewest))
    expect(last).toEqual(curve.at(-1))
    // Or the two files could be one and the same.
    expect(best.errors).toBeLessThan(last.errors)
    expect(await errors(join(path, 'model.onnx'))).toBe(best.errors)
    expect(await errors(join(path, 'last.onnx'))).toBe(last.errors)
  })

  it('is the same after a stop, wherever it comes', async () => {
    const whole = await run(join(root, 'again'), undefined, 2)
    expect(whole.curve.map(({ epoch }) => epoch)).toEqual([2, 4, 6, 8, 10, 12])
    const model = await readFile(join(root, 'again', 'model.onnx'))
    for (const stopAt of [3, 12, 40, 70]) {
      const path = join(root, `stopped-${stopAt}`)
      await expect(run(path, stopAt, 2)).rejects.toThrow('enough')
      expect(await run(path, undefined, 2)).toEqual(whole)
      expect((await readFile(join(path, 'model.onnx'))).equals(model)).toBe(true)
    }
  })
})
