import { type Predict, rng, type Tensor, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import fc from 'fast-check'

/** What the tests judge by: the printed formulas in plain float64, rows as arrays. Nothing of it is shared with the room. */
export type Matrix = readonly (readonly number[])[]

export function softmax(z: readonly number[], temperature: number = 1): number[] {
  const max = Math.max(...z)
  const e = z.map((v) => Math.exp((v - max) / temperature))
  const sum = e.reduce((a, b) => a + b)
  return e.map((x) => x / sum)
}

/** Σ_m w_m · rows_m, class by class; equal weights unless given. */
export function mean(rows: Matrix, weights: readonly number[] = rows.map(() => 1)): number[] {
  const sum = weights.reduce((a, b) => a + b)
  return rows[0]!.map((_, c) => rows.reduce((total, row, m) => total + (weights[m]! / sum) * row[c]!, 0))
}

export function normalised(p: readonly number[]): number[] {
  const sum = p.reduce((a, b) => a + b)
  return p.map((x) => x / sum)
}

export function argmax(z: readonly number[]): number {
  return z.indexOf(Math.max(...z))
}

export function matrix(rows: Matrix, classes: number = rows[0]?.length ?? 0): Tensor<'float32'> {
  return tensor('float32', [rows.length, classes], Float32Array.from(rows.flat()))
}

export function logits(rows: Matrix, classes?: number): TensorMap {
  return tensorMap([['logits', matrix(rows, classes)]])
}

export function rowsOf(outputs: TensorMap): number[][] {
  const { dims, data } = outputs.logits as Tensor<'float32'>
  const [rows, classes] = dims as [number, number]
  return Array.from({ length: rows }, (_, r) => Array.from(data.subarray(r * classes, (r + 1) * classes)))
}

/** Always the same answer. */
export function says(rows: Matrix): Predict {
  return async () => logits(rows)
}

const logit = fc.double({ min: -8, max: 8, noNaN: true }).map(Math.fround)

export function matrices(rows: number, classes: number): fc.Arbitrary<Matrix> {
  const row = fc.array(logit, { minLength: classes, maxLength: classes })
  return fc.array(row, { minLength: rows, maxLength: rows })
}

/** Members' logits for the same rows, with a label for each row. */
export interface Library {
  readonly members: readonly Matrix[]
  readonly labels: readonly number[]
  readonly weights: readonly number[]
}

export function libraries(most: { members: number; rows: number; classes: number }): fc.Arbitrary<Library> {
  return fc
    .record({
      members: fc.integer({ min: 1, max: most.members }),
      rows: fc.integer({ min: 1, max: most.rows }),
      classes: fc.integer({ min: 2, max: most.classes }),
    })
    .chain(({ members, rows, classes }) =>
      fc.record({
        members: fc.array(matrices(rows, classes), { minLength: members, maxLength: members }),
        labels: fc.array(fc.integer({ min: 0, max: classes - 1 }), { minLength: rows, maxLength: rows }),
        weights: fc.array(fc.double({ min: 0.05, max: 3, noNaN: true }), { minLength: members, maxLength: members }),
      }),
    )
}

/** Libraries in which no two sums come near each other but on purpose, so that the last bits decide nothing. */
export function genericLibraries(most: { members: number; rows: number; classes: number }): fc.Arbitrary<Library> {
  return fc.tuple(libraries(most), fc.nat()).map(([library, seed]) => {
    const random = rng(seed)
    const member = (rows: Matrix): Matrix => rows.map((row) => row.map(() => Math.fround(3 * random.normal())))
    return { ...library, members: library.members.map(member) }
  })
}

export const temperatures: fc.Arbitrary<number> = fc.constantFrom(0.5, 1, 2, 5, 20)

export function largestGap(a: readonly number[], b: readonly number[]): number {
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]!)))
}
