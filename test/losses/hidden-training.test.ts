import { batches, digits } from '@imago/data'
import { hint, rkd, softTarget, vid, weighted } from '@imago/losses'
import { decode, encode, lenet5, mlp } from '@imago/onnx'
import { adamw } from '@imago/optim'
import { type OpenLoss, openLoss, openStudent, predictor } from '@imago/runtime'
import { clone, fromPredict, rng, type TensorMap, tensorMap } from '@imago/tensor'
import { type CheckpointStore, distill, hiddenTensors, type TrainingState } from '@imago/trainer'
import { describe, expect, it } from 'vitest'

const threads = 1
const data = () => batches(digits({ train: 200, test: 10 }).train, { size: 50, rng: rng(3) })

/** A student with hidden tensors, its teacher, and a loss over both. Nothing is shared between two calls. */
async function run() {
  const teacher = await predictor(mlp([784, 40, 10], { rng: rng(1) }), { threads, also: ['act1.output'] })
  const student = await openStudent(lenet5({ rng: rng(2), width: 0.5 }), {
    threads,
    also: ['act4.output', 'pool2.output'],
  })
  const targets = fromPredict(teacher)
  const seen = await hiddenTensors({ student, targets, data: data() })
  const pair = { student: seen.student('act4.output'), teacher: seen.teacher('act1.output') }
  const open: { [name: string]: OpenLoss } = {
    hint: await openLoss(hint({ ...pair, rng: rng(4) }), { threads }),
    vid: await openLoss(vid({ ...pair, rng: rng(5) }), { threads }),
    rkd: await openLoss(rkd({ ...pair, student: seen.student('pool2.output') }), { threads }),
  }
  const loss = weighted({
    soft: [softTarget({ temperature: 4 }), 1],
    hint: [open.hint!, 10],
    vid: [open.vid!, 1],
    rkd: [open.rkd!, 0.1],
  })
  const options = { student, targets, data: data(), loss, optimizer: adamw({ rate: 2e-3 }), epochs: 3, rng: rng(6) }
  const dispose = async (): Promise<void> => {
    await Promise.all([teacher, student, ...Object.values(open)].map((one) => one.dispose()))
  }
  return { student, loss, options, dispose, open }
}

const copies = (map: TensorMap): TensorMap =>
  tensorMap(Object.entries(map).map(([name, value]) => [name, clone(value)]))

describe('a student that is hinted at by any tensor', () => {
  it('comes closer in every part, moves the losses’ own parameters, and saves none of them', async () => {
    const { student, loss, options, dispose } = await run()
    const names = Object.keys(student.parameters)
    const before = copies(loss.parameters!)
    expect(Object.keys(before).sort()).toEqual(
      [
        'hint/regressor.bias',
        'hint/regressor.weight',
        'vid/scale',
        ...[0, 1, 2].map((i) => `vid/regressor.${i}.weight`),
      ].sort(),
    )
    const epochs: { readonly [part: string]: number }[] = []
    for await (const report of distill(options)) if (report.kind === 'epoch') epochs.push(report.parts)
    for (const part of ['soft', 'hint', 'vid', 'rkd']) expect(epochs.at(-1)![part]).toBeLessThan(epochs[0]![part]!)
    for (const [name, value] of Object.entries(before)) expect(loss.parameters![name]!.data).not.toEqual(value.data)
    expect(Object.keys(student.parameters)).toEqual(names)
    const saved = decode(encode(student.save(student.parameters)))
    expect(saved.graph.outputs.map(({ name }) => name)).toEqual(['logits'])
    expect([...saved.graph.initializers.keys()].sort()).toEqual(
      [...lenet5({ rng: rng(2), width: 0.5 }).graph.initializers.keys()].sort(),
    )
    await dispose()
  })

  it('resumes to the bit, the losses’ own parameters too', async () => {
    const whole = await run()
    for await (const _ of distill(whole.options));
    const states: TrainingState[] = []
    const store: CheckpointStore = {
      async save(state) {
        states.push({ ...state, tensors: copies(state.tensors) })
        return { bytes: 0 }
      },
      load: async () => (states.length > 0 ? { state: states.at(-1)!, warnings: [] } : undefined),
    }
    const stopped = await run()
    for await (const report of distill({ ...stopped.options, checkpoint: { store, everySteps: 3 } }))
      if (report.kind === 'step' && report.step === 7) break
    expect(Object.keys(states.at(-1)!.tensors)).toEqual(expect.arrayContaining(['loss/vid/scale']))
    const again = await run()
    for await (const _ of distill({ ...again.options, checkpoint: { store } }));
    for (const [name, { data }] of Object.entries(whole.student.parameters))
      expect(again.student.parameters[name]!.data).toEqual(data)
    for (const [name, { data }] of Object.entries(whole.loss.parameters!))
      expect(again.loss.parameters![name]!.data).toEqual(data)
    await Promise.all([whole, stopped, again].map(({ dispose }) => dispose()))
  })

  it('gets the gradient of the sum: what flows into a hidden tensor meets what comes from the logits', async () => {
    const { student, open, dispose } = await run()
    const soft = softTarget({ temperature: 1 })
    const { inputs } = (await firstBatch())!
    const teacher = await predictor(mlp([784, 40, 10], { rng: rng(1) }), { threads, also: ['act1.output'] })
    const wanted = await teacher(inputs)
    const value = async (): Promise<number> => {
      const { outputs } = await student.differentiable.forward(student.parameters, inputs, { train: false })
      return soft.evaluate(outputs, wanted).value + (await open.hint!.evaluate(outputs, wanted)).value
    }
    const { outputs, pullback } = await student.differentiable.forward(student.parameters, inputs)
    const cotangents = tensorMap([
      ...Object.entries(soft.evaluate(outputs, wanted).cotangents),
      ...Object.entries((await open.hint!.evaluate(outputs, wanted)).cotangents),
    ])
    const gradients = copies(await pullback(cotangents))
    for (const name of ['conv1.weight', 'fc2.bias', 'fc3.weight']) {
      const data = student.parameters[name]!.data as Float32Array
      const gradient = gradients[name]!.data as Float32Array
      const length = Math.hypot(...gradient)
      const start = data.slice()
      const step = 2e-3
      const at = async (sign: number): Promise<number> => {
        data.set(start.map((x, i) => x + (sign * step * gradient[i]!) / length))
        return value()
      }
      const slope = ((await at(1)) - (await at(-1))) / (2 * step)
      data.set(start)
      expect(Math.abs(slope / length - 1)).toBeLessThan(0.02)
    }
    await teacher.dispose()
    await dispose()
  })
})

async function firstBatch() {
  for await (const batch of data().epoch(0)) return batch
  return undefined
}
