import { rng, type Tensor, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import fc from 'fast-check'
import type { Matrix } from './oracle.js'

/** A batch as plain numbers, all of them float32 numbers so that both sides read the same. */
export interface Drawn {
  readonly student: Matrix
  readonly teacher: Matrix
  /** A class, −1 (unlabelled) or −100 (left out). */
  readonly labels: readonly number[]
  readonly weights: readonly number[]
}

const logit = fc.double({ min: -8, max: 8, noNaN: true }).map(Math.fround)
const weight = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 4, arbitrary: fc.double({ min: 0.1, max: 3, noNaN: true }).map(Math.fround) },
)

export const batches: fc.Arbitrary<Drawn> = fc
  .record({ rows: fc.integer({ min: 1, max: 6 }), classes: fc.integer({ min: 2, max: 18 }) })
  .chain(({ rows, classes }) => {
    const matrix = fc.array(fc.array(logit, { minLength: classes, maxLength: classes }), {
      minLength: rows,
      maxLength: rows,
    })
    const label = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: classes - 1 }) },
      { weight: 1, arbitrary: fc.constantFrom(-1, -100) },
    )
    return fc.record({
      student: matrix,
      teacher: matrix,
      labels: fc.array(label, { minLength: rows, maxLength: rows }),
      weights: fc.array(weight, { minLength: rows, maxLength: rows }),
    })
  })

/** Batches of 3 … 5 rows of normal numbers, for losses that are not smooth where logits are alike, which those above often are. */
export const roughBatches: fc.Arbitrary<Drawn> = fc
  .record({ rows: fc.integer({ min: 3, max: 5 }), classes: fc.integer({ min: 3, max: 6 }), seed: fc.nat() })
  .map(({ rows, classes, seed }) => {
    const random = rng(seed)
    const draw = () =>
      Array.from({ length: rows }, () => Array.from({ length: classes }, () => Math.fround(2 * random.normal())))
    const weights = Array.from({ length: rows }, () => Math.fround(0.25 + random.uniform()))
    return { student: draw(), teacher: draw(), labels: weights.map(() => random.integer(classes)), weights }
  })

export const temperatures: fc.Arbitrary<number> = fc.constantFrom(0.5, 1, 2, 4, 20)

export function matrix(rows: Matrix): Tensor<'float32'> {
  return tensor('float32', [rows.length, rows[0]?.length ?? 0], Float32Array.from(rows.flat()))
}

export function outputs(student: Matrix): TensorMap {
  return tensorMap([['logits', matrix(student)]])
}

export function targets({ teacher, labels, weights }: Drawn): TensorMap {
  return tensorMap([
    ['logits', matrix(teacher)],
    ['labels', tensor('int32', [labels.length], Int32Array.from(labels))],
    ['weights', tensor('float32', [weights.length], Float32Array.from(weights))],
  ])
}

/** The batch's only row `r`. */
export function single(batch: Drawn, r: number): Drawn {
  return {
    student: [batch.student[r]!],
    teacher: [batch.teacher[r]!],
    labels: [batch.labels[r]!],
    weights: [batch.weights[r]!],
  }
}

export function numbers(value: Tensor | undefined): number[] {
  return Array.from(value!.data as Float32Array)
}
