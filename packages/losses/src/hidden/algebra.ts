import type { Builder } from '@imago/onnx'
import { tensor } from '@imago/tensor'

/** Element type of a loss that is a graph; float64 is for checks. */
export type Precision = 'float32' | 'float64'

/** Arithmetic on values of a graph. An operand that is a number is a constant. */
export interface Algebra {
  readonly b: Builder
  op(name: string, ...operands: readonly (string | number)[]): string
  /** Sum over axes, which stay as 1. */
  sum(x: string, ...axes: readonly number[]): string
  /** Sum over everything: a scalar. */
  total(x: string): string
  reshape(x: string, dims: readonly number[]): string
  transpose(x: string, perm: readonly number[]): string
  /** A constant [rows, columns]. */
  matrix(rows: number, columns: number, at: (row: number, column: number) => number): string
  /** x · (1 where condition, else 0), whatever x is there. */
  where(condition: string, x: string): string
}

export function algebra(b: Builder, type: Precision): Algebra {
  const operand = (value: string | number): string => (typeof value === 'number' ? b.scalar(value, type) : value)
  const op: Algebra['op'] = (name, ...operands) => b.op(name, operands.map(operand))
  return {
    b,
    op,
    sum: (x, ...axes) => b.op('ReduceSum', [x, b.ints(axes)], { keepdims: 1 }),
    total: (x) => b.op('ReduceSum', [x], { keepdims: 0 }),
    reshape: (x, dims) => b.op('Reshape', [x, b.ints(dims)]),
    transpose: (x, perm) => b.op('Transpose', [x], { perm: [...perm] }),
    matrix(rows, columns, at) {
      const values = Array.from({ length: rows * columns }, (_, i) => at(Math.floor(i / columns), i % columns))
      return b.constant(
        type === 'float64'
          ? tensor(type, [rows, columns], Float64Array.from(values))
          : tensor(type, [rows, columns], Float32Array.from(values)),
      )
    },
    where: (condition, x) => op('Where', condition, x, 0),
  }
}
