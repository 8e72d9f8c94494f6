import { crossEntropy, sgd } from '@imago/kernels'
import { openStudent } from '@imago/runtime'
import { clone, elementCount, type Rng, type Tensor, type TensorMap, tensor, tensorMap, zeros } from '@imago/tensor'
import { norm } from './compare.js'
import { drawn, type Golden, wholes } from './golden.js'

export interface Run {
  readonly losses: readonly number[]
  /** Of the first step. */
  readonly gradientNorms: { readonly [weight: string]: number }
  readonly after: TensorMap
  /** How far each weight and running statistic went from where it was in the file. */
  readonly moved: { readonly [weight: string]: number }
}

/** As many steps of SGD with momentum as the golden has, on its batches, which take turns. */
export async function trained(bytes: Uint8Array, golden: Golden, random: Rng): Promise<Run> {
  const student = await openStudent(bytes, { threads: 1 })
  try {
    const { parameters, differentiable } = student
    const before = tensorMap(Object.entries(parameters).map(([name, value]) => [name, clone(value)]))
    const names = Object.keys(differentiable.parameters)
    const velocities = tensorMap(names.map((name) => [name, zeros('float32', parameters[name]!.dims)]))
    const batches = golden.batches.map((rows, i) => batchOf(golden, rows, random.split(`batch ${i}`)))
    const losses: number[] = []
    const gradientNorms: { [weight: string]: number } = {}
    for (let step = 0; step < golden.losses.length; step++) {
      const { inputs, target } = batches[step % batches.length]!
      const { outputs, updates, pullback } = await differentiable.forward(parameters, inputs, {
        rng: random.split(`dropout ${step}`),
      })
      const { value, gradient } = lossOf(golden, outputs.logits as Tensor<'float32'>, target)
      const gradients = await pullback({ logits: gradient })
      losses.push(value)
      for (const name of names) {
        if (step === 0) gradientNorms[name] = norm(gradients[name]!.data as Float32Array)
        sgd({
          parameter: parameters[name]!,
          gradient: gradients[name]!,
          velocity: velocities[name]!,
          rate: golden.rate,
          momentum: golden.momentum,
        })
      }
      for (const name in updates) (parameters[name]!.data as Float32Array).set(updates[name]!.data as Float32Array)
    }
    const moved = Object.fromEntries(
      Object.entries(parameters).map(([name, { data }]) => {
        const old = before[name]!.data as Float32Array
        return [name, norm((data as Float32Array).map((value, i) => value - old[i]!))]
      }),
    )
    return { losses, gradientNorms, after: parameters, moved }
  } finally {
    await student.dispose()
  }
}

interface Batch {
  readonly inputs: TensorMap
  readonly target: Tensor
}

function batchOf({ inputs, target, output }: Golden, rows: number, random: Rng): Batch {
  const made = tensorMap(
    Object.entries(inputs).map(([name, { dims, below, mask }]) => {
      const whole = [rows, ...dims]
      const count = elementCount(whole)
      if (mask) return [name, tensor('int64', whole, masks(random, name, rows, dims[0]!))] as const
      if (below === undefined) return [name, drawn(random, name, whole)] as const
      return [name, tensor('int64', whole, BigInt64Array.from(wholes(random, name, count, below), BigInt))] as const
    }),
  )
  if (target === 'squares') return { inputs: made, target: drawn(random, 'target', [rows, ...output]) }
  const [classes, length] = typeof target === 'number' ? [target, rows] : [Number(target.slice(7)), rows * output[0]!]
  const labels = Int32Array.from(wholes(random, 'target', length, classes))
  return { inputs: made, target: tensor('int32', [length], labels) }
}

function masks(random: Rng, name: string, rows: number, length: number): BigInt64Array {
  const kept = wholes(random, name, rows, length - 3)
  return BigInt64Array.from({ length: rows * length }, (_, i) =>
    i % length < 4 + kept[Math.floor(i / length)]! ? 1n : 0n,
  )
}

function lossOf(
  golden: Golden,
  output: Tensor<'float32'>,
  target: Tensor,
): { readonly value: number; readonly gradient: Tensor<'float32'> } {
  if (golden.target !== 'squares') {
    const classes = output.dims.at(-1)!
    const student = { ...output, dims: [output.data.length / classes, classes] }
    const { value, gradient } = crossEntropy({ student, labels: target as Tensor<'int32'> })
    return { value, gradient: { ...gradient, dims: output.dims } }
  }
  const differences = output.data.map((y, i) => y - (target.data as Float32Array)[i]!)
  const value = differences.reduce((sum, d) => sum + d * d, 0) / (2 * differences.length)
  return { value, gradient: { ...output, data: differences.map((d) => d / differences.length) } }
}
