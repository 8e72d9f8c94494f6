import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { softTarget } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { sgd } from '@imago/optim'
import { openStudent } from '@imago/runtime'
import { rng, tensor } from '@imago/tensor'
import { findPython } from '../harness/machine.mjs'
import { noise, readNumbers, writeNumbers } from '../harness/numbers.mjs'

/** Students that PyTorch exported, trained from their files: forward, soft-target loss, backward, SGD with momentum. */
export const title = 'training step of exported students (forward, loss, backward, SGD + momentum)'

const common = { temperature: 4, hardWeight: 0.1, rate: 0.01, momentum: 0.9 }
/** Imago's time over PyTorch's that is allowed. */
const within = (ratio) => ({ asked: [{ of: 'imago', than: 'torch', atLeast: 1 / ratio }] })

// Where a batch meets kinks two float32 programs part (MobileNetV2: PyTorch from its own float64 by 3 %).
export const cases = [
  { name: 'MLP 784-800-800-10', student: 'mlp', batch: 128, ...common, ...within(1) },
  { name: 'LeNet-5', student: 'lenet5', batch: 128, ...common, ...within(1.35), growth: true },
  { name: 'ResNet-8x4, 32 × 32', student: 'resnet8x4', batch: 64, tolerance: 5e-3, ...common, ...within(1.15) },
  { name: 'MobileNetV2, 64 × 64', student: 'mobilenet-v2', batch: 32, tolerance: 5e-2, ...common, ...within(1) },
  { name: 'BERT-like, 4 layers of 256', student: 'bert', batch: 32, tolerance: 1e-3, ...common, ...within(1.15) },
  { name: 'ViT-tiny, 4 layers of 192', student: 'vit', batch: 32, tolerance: 1e-3, ...common, ...within(1.2) },
  { name: 'ResNet-18, 64 × 64', student: 'resnet18', batch: 16, tolerance: 5e-2, ...common, buildMs: 1000 },
]

export const variants = ['default', 'fused']
export const comparisons = [
  { of: 'imago', than: 'torch default' },
  { of: 'imago', than: 'torch fused' },
  { of: 'imago', than: 'torch' },
]
/** A step takes up to a second. */
export const least = 2
/** Resident memory at the peak of three steps, of each contender in a process of its own. */
export const peaks = ['imago', 'torch default']

/** What loads the runtime is no memory of the case. */
export async function warm() {
  const student = await openStudent(mlp([4, 4], { rng: rng(1) }), { threads: 1 })
  const { pullback } = await student.differentiable.forward(student.parameters, {
    input: tensor('float32', [1, 4], new Float32Array(4)),
  })
  await pullback({ logits: tensor('float32', [1, 4], new Float32Array(4)) })
  await student.dispose()
}

const dims = { mlp: [784], lenet5: [1, 28, 28], bert: [64], resnet8x4: [3, 32, 32], vit: [3, 32, 32] }

export function write({ student, batch }, folder) {
  const python = findPython()
  const script = join(import.meta.dirname, '../peer/students.py')
  const made = spawnSync(python.command, [script, student, String(batch), folder], { encoding: 'utf8' })
  if (made.status !== 0) throw new Error(`${student} is not exported: ${made.stderr.trim().split('\n').at(-1)}`)
  writeNumbers(folder, 'teacher', noise(2, batch * 10, 3))
  writeNumbers(
    folder,
    'labels',
    Int32Array.from({ length: batch }, (_, i) => i % 10),
  )
}

export async function prepare({ student: name, batch, temperature, hardWeight, rate, momentum }, folder, { threads }) {
  const start = performance.now()
  const student = await openStudent(join(folder, 'student.onnx'), { threads })
  const buildMs = performance.now() - start
  const { parameters, differentiable } = student
  const loss = softTarget({ temperature, hardWeight })
  const optimizer = sgd({ rate, momentum })
  const shape = [batch, ...(dims[name] ?? [3, 64, 64])]
  const x =
    name === 'bert'
      ? tensor('int64', shape, readNumbers(folder, 'x', BigInt64Array))
      : tensor('float32', shape, readNumbers(folder, 'x'))
  const targets = {
    logits: tensor('float32', [batch, 10], readNumbers(folder, 'teacher')),
    labels: tensor('int32', [batch], readNumbers(folder, 'labels', Int32Array)),
  }
  let done = 0
  const step = async () => {
    const { outputs, updates, pullback } = await differentiable.forward(parameters, { input: x })
    const { value, cotangents } = loss.evaluate(outputs, targets)
    const gradients = await pullback(cotangents)
    optimizer.step(parameters, gradients, { step: done++, epoch: 0, stepsPerEpoch: 1000, epochs: 1 })
    for (const moved in updates) parameters[moved].data.set(updates[moved].data)
    return { value, gradients }
  }
  return {
    facts: { buildMs },
    async check() {
      const { value, gradients } = await step()
      const names = Object.keys(differentiable.parameters).sort()
      return { value, tensors: { gradients: joined(gradients, names), parameters: joined(parameters, names) } }
    },
    async run(iterations = 3) {
      for (let i = 0; i < iterations; i++) await step()
    },
    outcome: async () => (await step()).value,
    dispose: () => student.dispose(),
  }
}

function joined(tensors, names) {
  const all = new Float32Array(names.reduce((sum, name) => sum + tensors[name].data.length, 0))
  let at = 0
  for (const name of names) {
    all.set(tensors[name].data, at)
    at += tensors[name].data.length
  }
  return all
}
