import { hardLabel, softTarget } from '@imago/losses'
import { adamw } from '@imago/optim'
import { clone, rng, tensorMap } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import {
  type CheckpointStore,
  distill,
  meanTeacher,
  mutual,
  type Peer,
  predictStudent,
  type TrainingState,
} from '../src/index.js'
import { linearStudent } from './linear-student.js'
import { bits, cloudRun, clouds, drain } from './problem.js'

function memoryStore(): CheckpointStore & { readonly states: TrainingState[] } {
  const states: TrainingState[] = []
  return {
    states,
    async save(state) {
      const tensors = tensorMap(Object.entries(state.tensors).map(([name, value]) => [name, clone(value)]))
      states.push({ ...structuredClone({ ...state, tensors: {} }), tensors })
      return { bytes: 0 }
    },
    load: async () => (states.length > 0 ? { state: states.at(-1)!, warnings: [] } : undefined),
  }
}

const peersOf = (count: number, stores?: readonly CheckpointStore[]): Peer[] =>
  Array.from({ length: count }, (_, i) => ({
    ...cloudRun(),
    student: linearStudent({ inputs: 4, classes: 3, rng: rng(30 + i), scale: 0.5 }),
    loss: softTarget({ temperature: 1, hardWeight: 0.5 }),
    ...(stores && { checkpoint: { store: stores[i]! } }),
  }))

async function all(peers: readonly Peer[]): Promise<number[]> {
  const order: number[] = []
  for await (const { peer, report } of mutual(peers)) if (report.kind === 'step') order.push(peer)
  return order
}

describe('mutual', () => {
  it('lets peers take their steps in turn, each taught by what the others say at that moment', async () => {
    const [a, b] = peersOf(2) as [Peer, Peer]
    const order = await all([a, b])
    expect(order).toEqual(Array.from({ length: 42 }, (_, i) => i % 2))
    // The same by hand: one step of each, the other's logits as targets.
    const [c, d] = peersOf(2) as [Peer, Peer]
    const runs = [
      distill({ ...c, remember: false, targets: (query) => predictStudent(d.student)(query.inputs) }),
      distill({ ...d, remember: false, targets: (query) => predictStudent(c.student)(query.inputs) }),
    ]
    for (let step = 0; step < 21; step++)
      for (const run of runs) {
        let next = await run.next()
        while (!next.done && next.value.kind !== 'step') next = await run.next()
      }
    expect(bits(a.student.parameters)).toEqual(bits(c.student.parameters))
    expect(bits(b.student.parameters)).toEqual(bits(d.student.parameters))
  })

  it('brings three peers closer to each other than three that learn alone', async () => {
    const apart = async (peers: readonly Peer[]): Promise<number> => {
      let sum = 0
      for await (const { inputs } of clouds(77).epoch(0)) {
        const logits = await Promise.all(
          peers.map(async ({ student }) => (await predictStudent(student)(inputs)).logits!),
        )
        const [x, y, z] = logits.map(({ data }) => data as Float32Array)
        for (let i = 0; i < x!.length; i++) sum += (x![i]! - y![i]!) ** 2 + (y![i]! - z![i]!) ** 2
      }
      return sum
    }
    const together = peersOf(3)
    await all(together)
    const alone = peersOf(3).map((peer) => ({ ...peer, loss: hardLabel() }))
    await all(alone)
    expect(await apart(together)).toBeLessThan((await apart(alone)) * 0.75)
  })

  it('goes on after a stop where it was, to the bit', async () => {
    const whole = peersOf(2)
    await all(whole)
    for (const at of [1, 12, 17]) {
      const stores = [memoryStore(), memoryStore()]
      const stop = new AbortController()
      let seen = 0
      const stopped = peersOf(2, stores).map((peer) => ({ ...peer, signal: stop.signal }))
      await expect(async () => {
        for await (const { report } of mutual(stopped))
          if (report.kind === 'step' && ++seen === at) stop.abort(new Error('enough'))
      }).rejects.toThrow('enough')
      expect(stores.map(({ states }) => states.at(-1)?.step ?? 0)).toEqual([Math.ceil(at / 2), Math.floor(at / 2)])
      const again = peersOf(2, stores)
      await all(again)
      for (const [i, { student }] of again.entries())
        expect(bits(student.parameters)).toEqual(bits(whole[i]!.student.parameters))
    }
  })

  it('refuses one peer', async () => {
    await expect(mutual(peersOf(1)).next()).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
  })
})

describe('meanTeacher', () => {
  const run = (store?: CheckpointStore) => {
    const options = cloudRun({
      ...(store && { checkpoint: { store, everySteps: 4 } }),
      optimizer: adamw({ rate: 0.05 }),
    })
    const teacher = meanTeacher(options.student, { decay: 0.9 })
    const loss = teacher.follow(softTarget({ temperature: 1, hardWeight: 0.7 }))
    return { teacher, options: { ...options, loss, targets: teacher.targets, remember: false } }
  }

  it('is the exponential mean of the weights after each step, the first ones forgotten', async () => {
    const { teacher, options } = run()
    const wanted = Object.fromEntries(
      Object.entries(options.student.parameters).map(([name, { data }]) => [
        name,
        Float64Array.from(data as Float32Array),
      ]),
    )
    for await (const report of distill(options)) {
      if (report.kind !== 'step') continue
      const kept = Math.min(1 - 1 / (report.step + 1), 0.9)
      for (const [name, mean] of Object.entries(wanted)) {
        const now = options.student.parameters[name]!.data as Float32Array
        mean.forEach((x, i) => {
          mean[i] = kept * x + (1 - kept) * now[i]!
        })
        const got = teacher.parameters[name]!.data as Float32Array
        got.forEach((x, i) => {
          expect(x).toBeCloseTo(mean[i]!, 4)
        })
      }
    }
  })

  it('is part of checkpoints: a resumed run is the undisturbed one', async () => {
    const whole = run()
    await drain(distill(whole.options))
    const store = memoryStore()
    for await (const report of distill(run(store).options)) if (report.kind === 'step' && report.step === 14) break
    const again = run(store)
    await drain(distill(again.options))
    expect(bits(again.options.student.parameters)).toEqual(bits(whole.options.student.parameters))
    expect(bits(again.teacher.parameters)).toEqual(bits(whole.teacher.parameters))
  })

  it('refuses a decay outside [0, 1)', () => {
    expect(() => meanTeacher(cloudRun().student, { decay: 1 })).toThrow(/decay/)
  })
})
