import { batches, dataset } from '@imago/data'
import { hardLabel, logitRegression } from '@imago/losses'
import { sgd } from '@imago/optim'
import { NotFoundError, NumericError, rng, StateError, tensor, tensorMap } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { distill, evaluate, type Report, train } from '../src/index.js'
import { floats, linearStudent } from './linear-student.js'
import { bits, cloudRun, clouds, drain } from './problem.js'

/** N orthonormal inputs: row n is the unit vector n. Each weight has its own quadratic, so gradient descent has a closed form. */
function unitRows(size: number): Parameters<typeof batches>[0] {
  const eye = Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0))
  return dataset({ inputs: tensorMap([['x', tensor('float32', [size, size], eye)]]) })
}

describe('training against a closed form', () => {
  it('follows w_k = v·(1 − (1 − ε/N)^k) on orthonormal inputs, bias included', async () => {
    // Loss 1/N Σ_n ½‖w_n + b − v_n‖². With Σ_n v_n = 0 the bias stays 0 and every w_n has that recurrence by itself.
    const [size, classes, rate, epochs] = [4, 3, 0.5, 40]
    const random = rng(8)
    const goal = Float32Array.from({ length: size * classes }, () => random.normal())
    for (let c = 0; c < classes; c++) {
      const mean = [0, 1, 2, 3].reduce((sum, n) => sum + goal[n * classes + c]! / size, 0)
      for (let n = 0; n < size; n++) goal[n * classes + c]! -= mean
    }
    const student = linearStudent({ inputs: size, classes, rng: rng(1) })
    const { outcome } = await drain(
      distill({
        student,
        targets: async ({ ids }) => ({
          logits: tensor(
            'float32',
            [ids.length, classes],
            Float32Array.from(
              { length: ids.length * classes },
              (_, i) => goal[ids[Math.floor(i / classes)]! * classes + (i % classes)]!,
            ),
          ),
        }),
        data: batches(unitRows(size), { size }),
        loss: logitRegression(),
        optimizer: sgd({ rate }),
        epochs,
        rng: rng(2),
      }),
    )
    const share = 1 - (1 - rate / size) ** epochs
    floats(student.parameters.weight!).forEach((w, i) => {
      expect(w).toBeCloseTo(share * goal[i]!, 5)
    })
    floats(student.parameters.bias!).forEach((b) => {
      expect(b).toBeCloseTo(0, 5)
    })
    const start = goal.reduce((sum, v) => sum + (0.5 * v * v) / size, 0)
    outcome.history.forEach(({ loss }, epoch) => {
      expect(loss).toBeCloseTo(start * (1 - rate / size) ** (2 * epoch), 5)
    })
  })
})

describe('reports', () => {
  it('count steps and epochs, average the loss over rows, and hold speed where there is a clock', async () => {
    let now = 0
    const options = cloudRun({ clock: () => (now += 10) })
    const { reports, outcome } = await drain(train(options))
    const steps = reports.filter((report) => report.kind === 'step')
    const epochs = reports.filter((report) => report.kind === 'epoch')
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 21 }, (_, i) => i + 1))
    expect(steps.every((report) => report.steps === 21 && report.rowsPerSecond! > 0)).toBe(true)
    expect(epochs.map(({ epoch, step }) => [epoch, step])).toEqual([
      [1, 7],
      [2, 14],
      [3, 21],
    ])
    for (const { epoch, loss, parts } of epochs) {
      const mine = steps.filter((report) => report.epoch === epoch)
      expect(mine.map(({ rows }) => rows)).toEqual([8, 8, 8, 8, 8, 8, 2])
      const mean = mine.reduce((sum, report) => sum + report.rows * report.loss, 0) / 50
      expect(loss).toBeCloseTo(mean, 12)
      expect(parts.hard).toBeCloseTo(mean, 12)
    }
    expect(outcome.history).toEqual(epochs)
    expect(steps.every(({ gradientNorm }) => gradientNorm > 0)).toBe(true)
  })

  it('evaluates after every n-th epoch and the last, without dropout, and moves nothing by it', async () => {
    const run = (evaluateEvery?: number) => {
      const options = cloudRun({
        evaluate: (predict) => evaluate({ predict, data: clouds(11) }),
        ...(evaluateEvery && { evaluateEvery }),
      })
      return { options, done: drain(train(options)) }
    }
    const [often, seldom, never] = [run(1), run(2), { options: cloudRun(), done: undefined }]
    await drain(train(never.options))
    const history = async (one: typeof often) =>
      (await one.done).outcome.history.map(({ evaluation }) => evaluation?.errors)
    expect(await history(often)).toEqual([expect.any(Number), expect.any(Number), expect.any(Number)])
    expect(await history(seldom)).toEqual([undefined, expect.any(Number), expect.any(Number)])
    expect(bits(often.options.student.parameters)).toEqual(bits(never.options.student.parameters))
  })

  it('keeps running statistics: the mean of what was seen, moved by each batch', async () => {
    const options = cloudRun()
    const expected = new Array<number>(4).fill(0)
    for (let epoch = 0; epoch < 3; epoch++)
      for await (const { inputs, ids } of options.data.epoch(epoch))
        for (let d = 0; d < 4; d++) {
          const sum = floats(inputs.x!).reduce((total, value, i) => (i % 4 === d ? total + value : total), 0)
          expected[d] = 0.9 * expected[d]! + (0.1 * sum) / ids.length
        }
    await drain(train(options))
    floats(options.student.parameters.mean!).forEach((value, d) => {
      expect(value).toBeCloseTo(expected[d]!, 5)
    })
  })
})

describe('what cannot go on', () => {
  const seen = async (run: AsyncGenerator<Report>): Promise<Report[]> => {
    const reports: Report[] = []
    for await (const report of run) reports.push(report)
    return reports
  }

  it('names the step and the tensor where a gradient is not finite, and moves nothing', async () => {
    const options = cloudRun()
    let calls = 0
    const { differentiable } = options.student
    const broken = {
      ...differentiable,
      async forward(...args: Parameters<typeof differentiable.forward>) {
        const result = await differentiable.forward(...args)
        return {
          ...result,
          async pullback(cotangents: Parameters<typeof result.pullback>[0]) {
            const gradients = await result.pullback(cotangents)
            if (++calls === 4) floats(gradients.bias!)[1] = Number.NaN
            return gradients
          },
        }
      },
    }
    const student = { ...options.student, differentiable: broken }
    let before = {}
    const run = train({ ...options, student })
    await expect(
      (async () => {
        for await (const report of run) if (report.kind === 'step') before = bits(student.parameters)
      })(),
    ).rejects.toThrow(/train, step 4 \(epoch 1, batch 4\): the gradient of "bias" is not finite/)
    expect(bits(student.parameters)).toEqual(before)
  })

  it('stops with NumericError where the rate makes it diverge', async () => {
    const run = distill({
      ...cloudRun(),
      loss: logitRegression(),
      targets: async ({ ids }) => ({
        logits: tensor('float32', [ids.length, 3], new Float32Array(ids.length * 3).fill(1)),
      }),
      optimizer: sgd({ rate: 1e30 }),
    })
    await expect(seen(run)).rejects.toThrow(NumericError)
  })

  it('refuses a teacher of other classes, of broken numbers, or in the student’s memory', async () => {
    const options = { ...cloudRun(), loss: logitRegression() }
    const teacher = (classes: number, value: number) =>
      distill({
        ...options,
        targets: async ({ ids }) => ({
          logits: tensor('float32', [ids.length, classes], new Float32Array(ids.length * classes).fill(value)),
        }),
      })
    await expect(seen(teacher(5, 0))).rejects.toThrow(/\[N, 3\].*3 classes.*the teacher has 5 classes/)
    await expect(seen(teacher(3, Number.NaN))).rejects.toThrow(/"logits" of the first row hold NaN/)
    const shared = tensor('float32', [1, 3], new Float32Array(3))
    const student = {
      ...options.student,
      differentiable: {
        ...options.student.differentiable,
        forward: async () => ({ outputs: { logits: shared }, updates: {}, pullback: async () => ({}) }),
      },
    }
    await expect(seen(distill({ ...options, student, targets: async () => ({ logits: shared }) }))).rejects.toThrow(
      StateError,
    )
  })

  it('refuses data without labels where the loss reads them, labels that are no class, and epochs that are no number', async () => {
    const rows = dataset({ inputs: tensorMap([['x', tensor('float32', [2, 4], new Float32Array(8))]]) })
    await expect(seen(train({ ...cloudRun(), data: batches(rows, { size: 2 }) }))).rejects.toThrow(NotFoundError)
    const seven = dataset({
      inputs: tensorMap([['x', tensor('float32', [2, 4], new Float32Array(8))]]),
      labels: [7, 7],
    })
    await expect(seen(train({ ...cloudRun(), loss: hardLabel(), data: batches(seven, { size: 2 }) }))).rejects.toThrow(
      /labels.*\[0, 3\).*7/,
    )
    await expect(seen(train(cloudRun({ epochs: 0 })))).rejects.toThrow(/"epochs" must be a whole number ≥ 1, got 0/)
  })
})
