import { type Batches, batches, dataset, noise } from '@imago/data'
import { hardLabel } from '@imago/losses'
import { adamw, cosine } from '@imago/optim'
import { rng, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import type { FitOptions, Outcome, Report, TrainableStudent } from '../src/index.js'
import { linearStudent } from './linear-student.js'

/** Three Gaussian clouds in four dimensions, shuffled and noised anew in every epoch: everything that can be lost on resume. */
export function clouds(seed: number, rows = 50): Batches {
  const random = rng(seed)
  const labels = Array.from({ length: rows }, () => random.integer(3))
  const data = Float32Array.from({ length: rows * 4 }, (_, i) => random.normal() + (labels[i >> 2] === i % 4 ? 2 : 0))
  const source = dataset({ inputs: tensorMap([['x', tensor('float32', [rows, 4], data)]]), labels, classes: 3 })
  return batches(source, { size: 8, rng: rng(seed + 1), augment: noise(0.1) })
}

/** A run with dropout, running statistics, Adam's slots and a schedule. Nothing is shared between two calls. */
export function cloudRun(options: Partial<FitOptions> = {}): FitOptions & { readonly student: TrainableStudent } {
  const student = linearStudent({ inputs: 4, classes: 3, rng: rng(3), scale: 0.5, dropout: 0.25 })
  return {
    student,
    data: clouds(11),
    loss: hardLabel(),
    optimizer: adamw({ rate: cosine({ peak: 0.05 }) }),
    epochs: 3,
    rng: rng(5),
    ...options,
  }
}

export async function drain(
  reports: AsyncGenerator<Report, Outcome>,
): Promise<{ reports: Report[]; outcome: Outcome }> {
  const seen: Report[] = []
  for (;;) {
    const next = await reports.next()
    if (next.done) return { reports: seen, outcome: next.value }
    seen.push(next.value)
  }
}

/** All bits of all tensors. */
export function bits(tensors: TensorMap): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { data }]) => {
      const { buffer, byteOffset, byteLength } = data as Float32Array
      return [name, Buffer.from(buffer, byteOffset, byteLength).toString('hex')]
    }),
  )
}
