import { decodeBfloat16, decodeFloat16 } from '@imago/kernels'
import { NotFoundError, NumericError, type Tensor, type TensorMap } from '@imago/tensor'

/** The types in which logits may come: fresh ones are float32, stored ones may be half as wide. */
export const logitTypes = ['float32', 'float16', 'bfloat16'] as const

/** Copies row `row` of some logits to `into`; `shown` is what a message calls the row. */
export type RowReader = (row: number, into: Float64Array, shown?: number) => void

/**
 * A reader of logits [N, C] that lets nothing through that is no distribution: −∞ is no mass, but NaN, +∞ and a row of −∞
 * alone are refused.
 */
export function rowReader(caller: string, label: string, logits: Tensor): RowReader {
  const classes = logits.dims[1]!
  const data = logits.data as Float32Array | Uint16Array
  const decode = logits.type === 'float16' ? decodeFloat16 : logits.type === 'bfloat16' ? decodeBfloat16 : undefined
  return (row, into, shown = row) => {
    let top = Number.NEGATIVE_INFINITY
    for (let c = 0; c < classes; c++) {
      const raw = data[row * classes + c]!
      const z = decode ? decode(raw) : raw
      if (Number.isNaN(z))
        throw new NumericError(
          caller,
          `the logits of ${label} hold NaN in row ${shown}; the model or its input is broken`,
        )
      if (z > top) top = z
      into[c] = z
    }
    if (!Number.isFinite(top))
      throw new NumericError(
        caller,
        `the largest logit of ${label} is ${top} in row ${shown}; the model or its input is broken`,
      )
  }
}

/** The tensor `output` among what a member gave. */
export function outputOf(caller: string, label: string, outputs: TensorMap, output: string): Tensor {
  const found = outputs[output]
  if (found !== undefined) return found
  throw new NotFoundError(
    `${caller}: ${label} has no output ${JSON.stringify(output)}`,
    `It has: ${Object.keys(outputs).join(', ') || 'none at all'}. Name the one that holds the logits as \`output\``,
  )
}
