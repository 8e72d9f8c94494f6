import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { batches } from '@imago/data'
import { arithmetic, ensemble } from '@imago/ensembles'
import { predictor } from '@imago/runtime'
import { StateError } from '@imago/tensor'
import { evaluate } from '@imago/trainer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HintonSpeechOptions, type HintonSpeechResult, hinton2015Speech } from '../../src/index.js'
import { speechSplit } from '../../src/speech/speech-split.js'
import { tinyDigits } from '../speech/tiny-digits.js'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-speech-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const digits = tinyDigits({ speakers: ['ann', 'bob', 'cleo'], takes: 12 })
const small = {
  digits,
  hidden: [24],
  members: 3,
  temperatures: [1, 4],
  students: 2,
  epochs: 4,
  studentEpochs: 5,
  rate: 5e-3,
  batch: 64,
  context: { before: 1, after: 1 },
  splits: ['official', 'bob'],
  threads: 1,
} as const

async function drain(options: HintonSpeechOptions): Promise<{ jobs: string[]; result: HintonSpeechResult }> {
  const jobs: string[] = []
  const run = hinton2015Speech(options)
  for (;;) {
    const { value, done } = await run.next()
    if (done) return { jobs, result: value }
    if (value.kind === 'job') jobs.push(`${value.job} ${value.state}`)
  }
}

describe('the speech recipe', () => {
  it('trains members, ensemble and students of both splits; what was killed goes on; the rows are those of the files', async () => {
    const runDir = join(root, 'run')
    const stop = new AbortController()
    const stopped = (async () => {
      for await (const event of hinton2015Speech({ ...small, runDir, signal: stop.signal }))
        if (event.kind === 'report' && event.job === 'official-distilled-T4-1' && event.report.kind === 'step')
          if (event.report.epoch === 3) stop.abort(new Error('enough'))
    })()
    await expect(stopped).rejects.toThrow('enough')
    const { jobs, result } = await drain({ ...small, runDir })
    expect(jobs.slice(0, 5)).toEqual([
      ...[1, 2, 3].map((seed) => `official-member-${seed} found`),
      'official-ensemble found',
      'official-distilled-T1-1 found',
    ])
    // A run that was never stopped comes to the same.
    const whole = await drain({ ...small, runDir: join(root, 'whole') })
    expect(result).toEqual(whole.result)

    const official = result.rows.filter(({ split }) => split === 'official')
    expect(official.map(({ name, temperature, nets }) => [name, temperature, nets])).toEqual([
      ['baseline', undefined, 3],
      ['ensemble', undefined, 1],
      ['twin', undefined, 2],
      ['distilled', 1, official[3]!.chosen ? 2 : 1],
      ['distilled', 4, official[4]!.chosen ? 2 : 1],
    ])
    expect(official.filter(({ chosen }) => chosen)).toHaveLength(1)
    expect(official[0]!.expected).toEqual({ frameAccuracy: 58.9, wordErrorRate: 10.9 })
    expect(result.rows.filter(({ split }) => split === 'without bob')).toHaveLength(5)
    // Tones are easy: most frames are right, and the decoder hears nearly every word.
    expect(official[1]!.testAccuracy).toBeGreaterThan(75)
    expect(official[1]!.digitErrorRate).toBeLessThan(10)

    // The ensemble's row, counted again from its files.
    const { test } = speechSplit({ digits, context: small.context })
    const members = await Promise.all(
      [1, 2, 3].map((seed) => predictor(join(runDir, `official-member-${seed}`, 'model.onnx'), { threads: 1 })),
    )
    const data = batches(test.frames, { size: 100, shuffle: false })
    const together = await evaluate({ predict: ensemble(members, arithmetic()), data })
    expect(official[1]!.testAccuracy).toBeCloseTo(100 * (1 - together.errorRate), 9)
    const alone = await Promise.all(members.map((predict) => evaluate({ predict, data })))
    const mean = alone.reduce((sum, { errorRate }) => sum + 100 * (1 - errorRate), 0) / 3
    expect(official[0]!.testAccuracy).toBeCloseTo(mean, 9)
    for (const member of members) await member.dispose()
  })

  it('refuses a folder of other settings, speakers who are not there and ensembles of one', async () => {
    const runDir = join(root, 'run')
    await expect(drain({ ...small, runDir, epochs: 5 })).rejects.toThrow(StateError)
    await expect(drain({ ...small, runDir: join(root, 'no'), splits: ['zoe'] })).rejects.toThrow(/ann, bob, cleo/)
    await expect(drain({ ...small, runDir: join(root, 'no'), members: 1 })).rejects.toThrow(/members/)
  })
})
