import { batches, dataset } from '@imago/data'
import { softTarget } from '@imago/losses'
import { sgd } from '@imago/optim'
import { rng, type TargetQuery, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { type DistillOptions, distill, predictStudent } from '../src/index.js'
import { linearStudent } from './linear-student.js'
import { bits, clouds, drain } from './problem.js'

const random = rng(4)
const rows = dataset({
  inputs: tensorMap([
    [
      'x',
      tensor(
        'float32',
        [30, 4],
        Float32Array.from({ length: 120 }, () => random.normal()),
      ),
    ],
  ]),
})

/** A teacher that counts the rows it is asked for. */
function countingTeacher(): { asked: () => number; targets: (query: TargetQuery) => Promise<TensorMap> } {
  const teacher = predictStudent(linearStudent({ inputs: 4, classes: 3, rng: rng(9), scale: 2 }))
  let asked = 0
  return {
    asked: () => asked,
    targets: ({ ids, inputs }) => {
      asked += ids.length
      return teacher(inputs)
    },
  }
}

function run(options: Partial<DistillOptions> & Pick<DistillOptions, 'targets'>): DistillOptions {
  return {
    student: linearStudent({ inputs: 4, classes: 3, rng: rng(3), scale: 0.5 }),
    data: batches(rows, { size: 7, rng: rng(6) }),
    loss: softTarget({ temperature: 4 }),
    optimizer: sgd({ rate: 0.1, momentum: 0.9 }),
    epochs: 5,
    rng: rng(5),
    ...options,
  }
}

describe('remembered targets', () => {
  it('ask the teacher for each row once, and give the run that asking in every epoch gives', async () => {
    const [once, always] = [countingTeacher(), countingTeacher()]
    const remembered = run({ targets: once.targets })
    const asking = run({ targets: always.targets, remember: false })
    const { reports } = await drain(distill(remembered))
    await drain(distill(asking))
    // One more row each: the check at the start.
    expect([once.asked(), always.asked()]).toEqual([30 + 1, 5 * 30 + 1])
    expect(bits(remembered.student.parameters)).toEqual(bits(asking.student.parameters))
    expect(reports.filter(({ kind }) => kind === 'targets').at(-1)).toEqual({ kind: 'targets', rows: 30, of: 30 })
  })

  it('are computed anew where inputs are augmented, and where they do not fit, which is said', async () => {
    const [augmented, tight] = [countingTeacher(), countingTeacher()]
    await drain(distill(run({ targets: augmented.targets, data: clouds(2, 30), epochs: 2 })))
    expect(augmented.asked()).toBe(2 * 30 + 1)
    const { reports } = await drain(distill(run({ targets: tight.targets, memoryLimit: 30 * 3 * 4 - 1, epochs: 2 })))
    expect(tight.asked()).toBe(2 * 30 + 7 + 1)
    expect(reports.find(({ kind }) => kind === 'warning')).toMatchObject({ message: /are computed anew/ })
  })
})

describe('distillation', () => {
  it('drives the divergence from a teacher of the same family towards 0', async () => {
    const options = run({ targets: countingTeacher().targets, epochs: 300 })
    const { outcome } = await drain(distill(options))
    expect(outcome.history[0]!.loss).toBeGreaterThan(0.1)
    expect(outcome.history.at(-1)!.loss).toBeLessThan(1e-4)
  })

  it('says so where teacher and student are one model', async () => {
    const options = run({ targets: async () => ({}) })
    const predict = predictStudent(options.student)
    const reports = distill({ ...options, targets: ({ inputs }) => predict(inputs) })
    expect((await reports.next()).value).toMatchObject({ kind: 'warning', message: /one model/ })
    await reports.return({ steps: 0, history: [] })
  })
})
