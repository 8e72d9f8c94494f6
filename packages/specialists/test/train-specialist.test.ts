import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Batches, dataset } from '@imago/data'
import { hardLabel } from '@imago/losses'
import { decode, mlp } from '@imago/onnx'
import { adamw, constant } from '@imago/optim'
import { predictor } from '@imago/runtime'
import { fromPredict, rng, tensor } from '@imago/tensor'
import { claimRunFolder, type Report } from '@imago/trainer'
import { describe, expect, it } from 'vitest'
import {
  dustbinLabels,
  dustbinOffset,
  fullSpecialistModel,
  halfHalf,
  specialHardLoss,
  specialistFile,
  specialistModel,
  type TrainedSpecialist,
  type TrainSpecialistOptions,
  trainSpecialist,
} from '../src/index.js'
import { draws } from './draws.js'

/** Points around the corners of a hexagon; neighbours overlap. */
function hexagon(rows: number, seed: number) {
  const noise = draws(seed).normals(2 * rows, 0.45)
  const labels = Int32Array.from({ length: rows }, (_, r) => r % 6)
  const x = Float32Array.from(noise, (n, i) => {
    const angle = (labels[i >> 1]! * Math.PI) / 3
    return n + (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle))
  })
  return dataset({ inputs: { input: tensor('float32', [rows, 2], x) }, labels, classes: 6 })
}

const set = { name: 'set-1', classes: [0, 1] }
const [learnt, held] = [hexagon(240, 1), hexagon(300, 2)]
const generalist = mlp([2, 12, 6], { rng: rng(4) })

async function options(path: string): Promise<TrainSpecialistOptions> {
  const predict = await predictor(generalist, { threads: 1 })
  const { inputs } = learnt.rows(Uint32Array.from({ length: learnt.length }, (_, i) => i))
  const { logits } = await predict(inputs)
  await predict.dispose()
  const map = dustbinLabels(set, 6)
  const data = halfHalf({ source: learnt, set, size: 20, rng: rng(6), map })
  return {
    model: specialistModel(generalist, { set, logits: logits! }).model,
    data,
    heldOut: fixed(halfHalf({ source: held, set, size: 100, rng: rng(7), map })),
    loss: hardLabel(),
    optimizer: () => adamw({ rate: constant(0.01) }),
    epochs: 6,
    offset: dustbinOffset(data),
    rng: rng(8),
    folder: await claimRunFolder(path, { test: 1 }),
    threads: 1,
  }
}

/** The same rows in every epoch. */
function fixed(batches: Batches): Batches {
  return { ...batches, epoch: (_, from) => batches.epoch(0, from) }
}

async function finish(
  reports: AsyncGenerator<Report, TrainedSpecialist>,
  seen: Report[] = [],
): Promise<TrainedSpecialist> {
  for (;;) {
    const { value, done } = await reports.next()
    if (done) return value
    seen.push(value)
  }
}

const folder = (): string => mkdtempSync(join(tmpdir(), 'imago-specialist-'))

describe('trainSpecialist', () => {
  it('leaves the best epoch, corrected, and it is better than the first', async () => {
    const given = await options(folder())
    const result = await finish(trainSpecialist(given))
    const best = result.curve.reduce((a, b) => (b.errors < a.errors ? b : a))
    expect(result.best).toEqual(best)
    expect(result.stopped).toBe(false)
    expect(result.offset).toBeCloseTo(Math.log(2), 12)
    const file = decode((await given.folder.read('specialist.onnx'))!)
    expect(specialistFile(file, 'it', set).offset).toBe(result.offset)
    // What was counted can be counted again from the file that was left.
    const predict = await predictor(decode((await given.folder.read('best.onnx'))!), { threads: 1 })
    let errors = 0
    for await (const { inputs, labels } of given.heldOut.epoch(0)) {
      const { logits } = await predict(inputs)
      const z = logits!.data as Float32Array
      for (const [r, y] of labels!.entries()) {
        const row = [...z.subarray(3 * r, 3 * r + 3)]
        if (row.indexOf(Math.max(...row)) !== y) errors++
      }
    }
    await predict.dispose()
    expect(errors).toBe(best.errors)
    await given.folder.release()
  })

  it('stopped anywhere and begun again is the undisturbed run', async () => {
    const path = folder()
    const stop = new AbortController()
    const first = await options(path)
    const reports = trainSpecialist({ ...first, signal: stop.signal })
    await expect(
      (async () => {
        for await (const report of reports)
          if (report.kind === 'step' && report.step === 10) stop.abort(new Error('stop'))
      })(),
    ).rejects.toThrow('stop')
    await first.folder.release({ keep: true })
    const again = await options(path)
    const seen: Report[] = []
    const result = await finish(trainSpecialist(again), seen)
    expect(seen.find(({ kind }) => kind === 'resume')).toMatchObject({ step: 10 })
    const undisturbed = await options(folder())
    expect(result).toEqual(await finish(trainSpecialist(undisturbed)))
    for (const name of ['specialist.onnx', 'best.onnx'])
      expect(await again.folder.read(name)).toEqual(await undisturbed.folder.read(name))
    await again.folder.release()
    await undisturbed.folder.release()
  })

  it('ends early where held-out errors do not fall, and keeps the best', async () => {
    const given = await options(folder())
    const result = await finish(
      trainSpecialist({ ...given, epochs: 30, patience: 2, optimizer: () => adamw({ rate: constant(1e-9) }) }),
    )
    expect(result).toMatchObject({ stopped: true, epochs: 3, best: { epoch: 1 } })
    await given.folder.release()
    await expect(finish(trainSpecialist({ ...given, patience: 0 }))).rejects.toThrow(/patience/)
  })

  it('learns as section 6.1 has it: all classes, the generalist beside labels', async () => {
    const given = await options(folder())
    const teacher = await predictor(generalist, { threads: 1 })
    const data = halfHalf({ source: learnt, set, size: 20, rng: rng(6) })
    const result = await finish(
      trainSpecialist({
        ...given,
        model: fullSpecialistModel(generalist, { set }),
        data,
        heldOut: fixed(halfHalf({ source: held, set, size: 100, rng: rng(7) })),
        loss: specialHardLoss({ set, classes: 6 }),
        targets: fromPredict(teacher),
      }),
    )
    await teacher.dispose()
    expect(result.best.errors).toBeLessThan(result.best.rows)
    expect(specialistFile(decode((await given.folder.read('specialist.onnx'))!), 'it')).toMatchObject({
      head: 'full',
      offset: dustbinOffset(data),
    })
    await given.folder.release()
  })
})
