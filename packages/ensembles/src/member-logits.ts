import { dims, ShapeError, type TensorMap } from '@imago/tensor'
import { logitTypes, outputOf, type RowReader, rowReader } from './row-reader.js'

export interface OutputOptions {
  /** What messages call the members; one each. */
  readonly names?: readonly string[] | undefined
  /** The output that holds the logits [N, C]; `logits` unless given. */
  readonly output?: string | undefined
}

/** The logits of several members for the same rows. */
export interface MemberLogits {
  readonly rows: number
  readonly classes: number
  readonly readers: readonly RowReader[]
}

/**
 * The logits that several members gave for the same rows, checked against the first member's.
 * @throws NotFoundError for a missing output, ShapeError naming the member
 */
export function memberLogits(
  caller: string,
  labels: readonly string[],
  outputs: readonly TensorMap[],
  output: string = 'logits',
): MemberLogits {
  const tensors = outputs.map((map, i) => outputOf(caller, labels[i]!, map, output))
  const { N, C } = dims(
    caller,
    Object.fromEntries(tensors.map((value, i) => [labels[i]!, [value, 'N C', logitTypes] as const])),
  ) as { N: number; C: number }
  if (C === 0) throw new ShapeError(caller, labels[0]!, '[N, C] with at least one class', `[${N}, 0]`)
  return { rows: N, classes: C, readers: tensors.map((value, i) => rowReader(caller, labels[i]!, value)) }
}
