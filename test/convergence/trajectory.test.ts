import { readFileSync } from 'node:fs'
import { batches, dataset } from '@imago/data'
import { hardLabel, softTarget } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { adamw, sgd } from '@imago/optim'
import { openStudent } from '@imago/runtime'
import { rng, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import { distill, train } from '@imago/trainer'
import { describe, expect, it } from 'vitest'

interface Golden {
  readonly provenance: { readonly script: string; readonly torch: string }
  readonly sizes: readonly number[]
  readonly temperature: number
  readonly hardWeight: number
  readonly rows: number
  readonly x: readonly number[]
  readonly labels: readonly number[]
  readonly teacher: readonly number[]
  readonly start: { readonly [name: string]: readonly number[] }
  readonly cases: readonly {
    readonly loss: 'hard' | 'soft'
    readonly optimizer: 'sgd' | 'adamw'
    readonly losses: readonly number[]
    readonly losses64: readonly number[]
    readonly norms: readonly number[]
    readonly end64: { readonly [name: string]: readonly number[] }
  }[]
}

const golden = JSON.parse(readFileSync(new URL('golden/sgd-trajectory.json', import.meta.url), 'utf8')) as Golden

const set = dataset({
  inputs: tensorMap([['input', tensor('float32', [golden.rows, golden.sizes[0]!], Float32Array.from(golden.x))]]),
  labels: golden.labels,
  classes: golden.sizes.at(-1)!,
})

/** The teacher's logits of the golden, by row. */
async function targets({ ids }: { readonly ids: Uint32Array }): Promise<TensorMap> {
  const classes = golden.sizes.at(-1)!
  const rows = [...ids].flatMap((id) => golden.teacher.slice(id * classes, (id + 1) * classes))
  return tensorMap([['logits', tensor('float32', [ids.length, classes], Float32Array.from(rows))]])
}

/** The largest |a − b| relative to the largest |b|. */
function distance(a: ArrayLike<number>, b: readonly number[]): number {
  const scale = Math.max(...b.map(Math.abs))
  return Math.max(...b.map((value, i) => Math.abs(a[i]! - value))) / scale
}

describe(`twenty steps as PyTorch ${golden.provenance.torch} takes them`, () => {
  it.each(golden.cases)('$loss, $optimizer', async ({ loss, optimizer, losses64, losses, norms, end64 }) => {
    const student = await openStudent(mlp(golden.sizes, { rng: rng(1) }), { threads: 1 })
    try {
      for (const name in golden.start) (student.parameters[name]!.data as Float32Array).set(golden.start[name]!)
      const common = {
        student,
        data: batches(set, { size: golden.rows }),
        optimizer: optimizer === 'sgd' ? sgd({ rate: 0.05, momentum: 0.9 }) : adamw({ rate: 0.01 }),
        epochs: losses.length,
        rng: rng(2),
      }
      const { temperature, hardWeight } = golden
      const run =
        loss === 'hard'
          ? train({ ...common, loss: hardLabel() })
          : distill({ ...common, loss: softTarget({ temperature, hardWeight }), targets })
      const seen: { loss: number; gradientNorm: number }[] = []
      for await (const report of run) if (report.kind === 'step') seen.push(report)
      // Float32 against float64 over twenty steps; PyTorch's own float32 run is 4e-7 away.
      expect(
        distance(
          seen.map((step) => step.loss),
          losses64,
        ),
      ).toBeLessThan(5e-6)
      expect(
        distance(
          seen.map((step) => step.gradientNorm),
          norms,
        ),
      ).toBeLessThan(5e-6)
      for (const name in end64)
        expect(distance(student.parameters[name]!.data as Float32Array, end64[name]!), name).toBeLessThan(5e-5)
    } finally {
      await student.dispose()
    }
  })
})
