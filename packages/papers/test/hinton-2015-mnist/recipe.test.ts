import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { batches, dataset, type TrainTest } from '@imago/data'
import { predictor } from '@imago/runtime'
import { rng, StateError, tensor, tensorMap } from '@imago/tensor'
import { evaluate } from '@imago/trainer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HintonMnistOptions, type HintonMnistResult, hinton2015Mnist, type RecipeEvent } from '../../src/index.js'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-hinton-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

/** Images of ten blurred templates under noise: easy, and of MNIST's shape. */
function images(train: number, test: number): TrainTest {
  const random = rng(77)
  const templates = Array.from({ length: 10 }, () => Float32Array.from({ length: 784 }, () => random.uniform()))
  const part = (rows: number) => {
    const labels = Array.from({ length: rows }, () => random.integer(10))
    const pixels = new Float32Array(rows * 784)
    for (let row = 0; row < rows; row++)
      for (let i = 0; i < 784; i++) pixels[row * 784 + i] = 0.5 * templates[labels[row]!]![i]! + 0.5 * random.uniform()
    return dataset({
      inputs: tensorMap([['input', tensor('float32', [rows, 784], pixels)]]),
      labels,
      classes: 10,
    })
  }
  return { train: part(train), test: part(test) }
}

const data = images(1200, 300)

async function drain(
  options: Omit<HintonMnistOptions, 'data'>,
): Promise<{ events: RecipeEvent[]; result: HintonMnistResult }> {
  const events: RecipeEvent[] = []
  const run = hinton2015Mnist({ data, ...options })
  for (;;) {
    const next = await run.next()
    if (next.done) return { events, result: next.value }
    events.push(next.value)
  }
}

const hidden = { teacher: [120, 100], student: [80, 60] }

const small = {
  hidden,
  epochs: 1,
  seeds: [1],
  rates: [1e-3, 1e-5],
  selectionEpochs: 1,
  ablation: false,
  threads: 1,
} as const

describe('the MNIST recipe', () => {
  it('chooses rates on held-out rows, trains all three, and says what a kill left of it the next time', async () => {
    const runDir = join(root, 'run')
    // Stop in the middle of the twin: what was done before is found, what was begun goes on.
    const stop = new AbortController()
    const stopped = (async () => {
      for await (const event of hinton2015Mnist({ data, runDir, ...small, signal: stop.signal }))
        if (
          event.kind === 'report' &&
          event.job === 'plain-1' &&
          event.report.kind === 'step' &&
          event.report.step === 5
        )
          stop.abort(new Error('enough'))
    })()
    await expect(stopped).rejects.toThrow('enough')
    const { events, result } = await drain({ runDir, ...small })
    const found = events.flatMap((event) => (event.kind === 'job' && event.state === 'found' ? [event.job] : []))
    expect(found).toContain('teacher-1')
    expect(found).toContain('select-plain-0.001')
    expect(
      events.find((event) => event.kind === 'report' && event.job === 'plain-1' && event.report.kind === 'resume'),
    ).toMatchObject({ report: { step: 5, epoch: 0 } })
    expect(result.rows.map(({ name, seed, expected }) => [name, seed, expected])).toEqual([
      ['teacher', 1, 67],
      ['plain', 1, 146],
      ['distilled', 1, 74],
    ])
    expect(result.trials).toHaveLength(4)
    expect(result.trials.every(({ rows }) => rows === 100)).toBe(true)
    // 1e-5 does not get anywhere in a few steps: the other one has to win.
    expect(result.rows[1]!.rate).toBe(1e-3)
    expect(result.effects.map(({ name }) => name)).toHaveLength(4)
    expect(result.curves['plain-1']!.at(-1)!.errors).toBe(result.rows[1]!.errors)
    // The rows are those of the files: count again through ONNX Runtime.
    for (const { name, errors } of result.rows) {
      const predict = await predictor(join(runDir, `${name}-1`, 'model.onnx'), { threads: 1 })
      const counted = await evaluate({ predict, data: batches(data.test, { size: 100, shuffle: false }) })
      expect(counted.errors).toBe(errors)
      await predict.dispose()
    }
    const lines = (await readFile(join(runDir, 'plain-1', 'metrics.jsonl'), 'utf8')).trim().split('\n')
    expect(lines).toHaveLength(1)
  })

  it('refuses a run folder of other options or of somebody else', async () => {
    const runDir = join(root, 'run')
    await expect(drain({ runDir, ...small, epochs: 2 })).rejects.toThrow(StateError)
    await expect(drain({ runDir: root, ...small })).rejects.toThrow(/holds files that are no imago run/)
    expect(await readdir(root)).toEqual(['run'])
  })

  it('in fast mode answers with two effects and no selection', async () => {
    const { result } = await drain({ runDir: join(root, 'fast'), fast: true, epochs: 1, threads: 1, hidden })
    expect(result.trials).toEqual([])
    expect(result.effects).toHaveLength(2)
  })
})
