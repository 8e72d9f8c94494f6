import { readFileSync } from 'node:fs'
import { batches, digits } from '@imago/data'
import { crd, type LossGraph, softTarget, weighted } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { adamw } from '@imago/optim'
import { openLoss, openStudent, predictor } from '@imago/runtime'
import { clone, fromPredict, rng, tensor, tensorMap } from '@imago/tensor'
import { type CheckpointStore, distill, hiddenTensors, type TrainingState } from '@imago/trainer'
import { describe, expect, it } from 'vitest'

interface Plain {
  readonly dims: number[]
  readonly data: number[]
}

interface Contrast {
  readonly rows: number
  readonly negatives: number
  readonly features: number
  readonly index: number[][]
  readonly student: Plain
  readonly teacher: Plain
  readonly parameters: { readonly [name: string]: Plain }
  readonly memory: Plain[]
  readonly steps: {
    readonly value: number
    readonly cotangents: Plain[]
    readonly gradients: { readonly [name: string]: Plain }
  }[]
  readonly moved: Plain[]
  readonly z: number[]
}

const file = new URL('../golden/losses/hidden.json', import.meta.url)
const { contrast } = JSON.parse(readFileSync(file, 'utf8')) as { contrast: Contrast }
const f32 = ({ dims, data }: Plain) => tensor('float32', dims, Float32Array.from(data))

describe('crd against PyTorch in float64, by the formulas of the authors’ code', () => {
  it('two steps: value, gradients, the constants of the first, the memory that moved', async () => {
    const { rows, negatives, features, index } = contrast
    const options = { rows, negatives, features, rng: rng(1) }
    const pair = { student: { name: 's', dims: [2] }, teacher: { name: 't', dims: [5] } }
    const made = crd({ ...pair, ...options })
    contrast.memory.forEach((bank, i) => {
      ;(made.memory!.tensors[i === 0 ? 'student' : 'teacher']!.data as Float32Array).set(bank.data)
    })
    const drawn = tensor('int64', [3, negatives + 1], BigInt64Array.from(index.flat(), BigInt))
    const given: LossGraph = { ...made, memory: { ...made.memory!, draw: () => tensorMap([['index', drawn]]) } }
    const loss = await openLoss(given, { threads: 1 })
    const parameters = tensorMap(Object.entries(contrast.parameters).map(([name, value]) => [name, f32(value)]))
    const ids = tensor(
      'uint32',
      [3],
      Uint32Array.from(index, (row) => row[0]!),
    )
    const targets = tensorMap([
      ['t', f32(contrast.teacher)],
      ['ids', ids],
    ])
    const student = tensorMap([['s', f32(contrast.student)]])
    for (const step of contrast.steps) {
      const result = await loss.evaluate(student, targets, parameters)
      near([result.value], [step.value])
      near(numbers(result.cotangents.s!), step.cotangents[0]!.data)
      for (const [name, { data }] of Object.entries(step.gradients)) near(numbers(result.gradients![name]!), data)
      result.keep!()
    }
    near(numbers(made.memory!.tensors.z!), contrast.z)
    // The goldens moved in two steps.
    near(numbers(made.memory!.tensors.student!), contrast.moved[0]!.data)
    near(numbers(made.memory!.tensors.teacher!), contrast.moved[1]!.data)
    await loss.dispose()
  })
})

describe('crd in a run', () => {
  const set = digits({ train: 120, test: 10 }).train
  const data = () => batches(set, { size: 40, rng: rng(3) })

  async function run() {
    const teacher = await predictor(mlp([784, 24, 10], { rng: rng(1) }), { threads: 1, also: ['act1.output'] })
    const student = await openStudent(mlp([784, 12, 10], { rng: rng(2) }), { threads: 1, also: ['act1.output'] })
    const targets = fromPredict(teacher)
    const seen = await hiddenTensors({ student, targets, data: data() })
    const open = await openLoss(
      crd({
        student: seen.student('act1.output'),
        teacher: seen.teacher('act1.output'),
        rows: set.length,
        features: 8,
        negatives: 16,
        rng: rng(4),
      }),
      { threads: 1 },
    )
    const loss = weighted({ soft: [softTarget({ temperature: 4 }), 1], crd: [open, 0.1] })
    const options = { student, targets, data: data(), loss, optimizer: adamw({ rate: 3e-3 }), epochs: 4, rng: rng(6) }
    return { student, loss, options, dispose: () => Promise.all([teacher, student, open].map((one) => one.dispose())) }
  }

  it('comes closer, and resumes to the bit with what it remembers', async () => {
    const whole = await run()
    const values: number[] = []
    for await (const report of distill(whole.options)) if (report.kind === 'epoch') values.push(report.parts.crd!)
    expect(values.at(-1)).toBeLessThan(values[0]!)
    const states: TrainingState[] = []
    const store: CheckpointStore = {
      async save(state) {
        const tensors = tensorMap(Object.entries(state.tensors).map(([name, value]) => [name, clone(value)]))
        states.push({ ...state, tensors })
        return { bytes: 0 }
      },
      load: async () => (states.length > 0 ? { state: states.at(-1)!, warnings: [] } : undefined),
    }
    const stopped = await run()
    for await (const report of distill({ ...stopped.options, checkpoint: { store, everySteps: 2 } }))
      if (report.kind === 'step' && report.step === 6) break
    const again = await run()
    for await (const _ of distill({ ...again.options, checkpoint: { store } }));
    for (const [name, { data: numbers }] of Object.entries(whole.student.parameters))
      expect(again.student.parameters[name]!.data).toEqual(numbers)
    for (const [name, { data: numbers }] of Object.entries(whole.loss.memory!))
      expect(again.loss.memory![name]!.data).toEqual(numbers)
    await Promise.all([whole, stopped, again].map(({ dispose }) => dispose()))
  })
})

function numbers({ data }: { readonly data: unknown }): number[] {
  return [...(data as Float32Array)]
}

/** Float32 work over exponentials of up to 1/0.07. */
function near(got: readonly number[], wanted: readonly number[]): void {
  expect(got.length).toBe(wanted.length)
  const scale = Math.max(1, ...wanted.map(Math.abs))
  got.forEach((value, i) => {
    expect(Math.abs(value - wanted[i]!)).toBeLessThan(2e-5 * scale)
  })
}
