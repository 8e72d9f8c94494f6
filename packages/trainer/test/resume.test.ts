import { adamw, sgd } from '@imago/optim'
import { clone, rng, type TensorMap, tensorMap } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CheckpointStore, type FitOptions, type Report, type TrainingState, train } from '../src/index.js'
import { bits, cloudRun, clouds, drain } from './problem.js'

/** Keeps states as a file would: a copy at the time of saving. */
function memoryStore(): CheckpointStore & { readonly states: TrainingState[] } {
  const states: TrainingState[] = []
  return {
    states,
    async save(state) {
      const tensors: TensorMap = tensorMap(Object.entries(state.tensors).map(([name, value]) => [name, clone(value)]))
      states.push({ ...structuredClone({ ...state, tensors: {} }), tensors })
      return { bytes: 0 }
    },
    load: async () => (states.length > 0 ? { state: states.at(-1)!, warnings: [] } : undefined),
  }
}

/** Train until the step report of `until`, abort there, and hand back what was thrown. */
async function interrupted(options: FitOptions, until: number): Promise<unknown> {
  const stop = new AbortController()
  const reason = new Error('enough')
  try {
    for await (const report of train({ ...options, signal: stop.signal }))
      if (report.kind === 'step' && report.step === until) stop.abort(reason)
  } catch (error) {
    return error === reason ? 'aborted' : error
  }
  return 'finished'
}

const undisturbed = async (options: FitOptions): Promise<{ bits: object; reports: Report[] }> => {
  const { reports } = await drain(train(options))
  return { bits: bits(options.student.parameters), reports }
}

describe('resuming', () => {
  it('gives the bits of the undisturbed run wherever it was interrupted, however often', async () => {
    const whole = await undisturbed(cloudRun())
    const lossOf = (reports: Report[]) =>
      reports.flatMap((report) => (report.kind === 'step' ? [[report.step, report.loss, report.rate]] : []))
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 }), async (at) => {
        const store = memoryStore()
        for (const step of at.sort((a, b) => a - b))
          expect(await interrupted(cloudRun({ checkpoint: { store } }), step)).toBe('aborted')
        expect(store.states.at(-1)!.step).toBe(at.at(-1))
        const last = cloudRun({ checkpoint: { store } })
        const { reports, outcome } = await drain(train(last))
        expect(bits(last.student.parameters)).toEqual(whole.bits)
        expect(lossOf(reports)).toEqual(lossOf(whole.reports).filter(([step]) => step! > at.at(-1)!))
        const epochs = whole.reports.filter(({ kind }) => kind === 'epoch')
        expect(outcome.history).toEqual(epochs)
      }),
      { numRuns: 12 },
    )
  })

  it('goes on from a checkpoint inside an epoch after a stop without warning', async () => {
    const whole = await undisturbed(cloudRun())
    const store = memoryStore()
    for await (const report of train(cloudRun({ checkpoint: { store, everySteps: 3 } })))
      if (report.kind === 'step' && report.step === 11) break
    expect(store.states.map(({ step, batch }) => [step, batch])).toEqual([
      [3, 3],
      [6, 6],
      [7, 0],
      [9, 2],
    ])
    const again = cloudRun({ checkpoint: { store, everySteps: 3 } })
    const { reports } = await drain(train(again))
    expect(reports[0]).toMatchObject({ kind: 'resume', step: 9, epoch: 1 })
    expect(bits(again.student.parameters)).toEqual(whole.bits)
  })

  it('is not what a cold start with the saved weights gives: optimizer, position and masks matter', async () => {
    const whole = await undisturbed(cloudRun())
    const store = memoryStore()
    await interrupted(cloudRun({ checkpoint: { store } }), 10)
    const cold = cloudRun()
    for (const name in cold.student.parameters)
      (cold.student.parameters[name]!.data as Float32Array).set(
        store.states[0]!.tensors[`parameter/${name}`]!.data as Float32Array,
      )
    await drain(train(cold))
    expect(bits(cold.student.parameters)).not.toEqual(whole.bits)
  })

  it('of a finished run does nothing and gives its history', async () => {
    const store = memoryStore()
    const { outcome } = await drain(train(cloudRun({ checkpoint: { store } })))
    const { reports, outcome: again } = await drain(train(cloudRun({ checkpoint: { store } })))
    expect(reports.map(({ kind }) => kind)).toEqual(['resume'])
    expect(again).toEqual(outcome)
  })

  it('refuses another run, naming each difference; force makes them warnings', async () => {
    const store = memoryStore()
    await interrupted(cloudRun({ checkpoint: { store, config: { temperature: 20 } } }), 5)
    const other = (force: boolean) =>
      train(
        cloudRun({
          checkpoint: { store, config: { temperature: 4 }, force },
          epochs: 4,
          rng: rng(6),
          data: clouds(11, 51),
        }),
      )
    const message = await other(false)
      .next()
      .catch((error: Error) => error.message)
    for (const part of [
      'temperature: 20 there, 4 here',
      'epochs: 3 there, 4 here',
      'data.rows: 50 there, 51 here',
      'seed[0]: 5 there, 6 here',
    ])
      expect(message).toContain(part)
    const { reports } = await drain(other(true))
    expect(reports.filter(({ kind }) => kind === 'warning')).toHaveLength(4)
  })

  it('refuses the state of another optimizer', async () => {
    const store = memoryStore()
    await interrupted(cloudRun({ checkpoint: { store }, optimizer: adamw() }), 5)
    await expect(drain(train(cloudRun({ checkpoint: { store }, optimizer: sgd({ rate: 1 }) })))).rejects.toThrow(
      /optimizer: "adamw" there, "sgd" here/,
    )
  })

  it('keeps the state before where the weights are broken', async () => {
    const store = memoryStore()
    const options = cloudRun({ checkpoint: { store } })
    await expect(
      (async () => {
        for await (const report of train(options))
          if (report.kind === 'step' && report.step === 14)
            (options.student.parameters.mean!.data as Float32Array)[2] = Number.POSITIVE_INFINITY
      })(),
    ).rejects.toThrow(/step 14: "parameter\/mean" holds NaN or infinity, so no checkpoint is written/)
    expect(store.states.map(({ step }) => step)).toEqual([7])
  })
})
