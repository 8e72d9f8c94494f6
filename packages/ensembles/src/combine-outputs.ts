import { NumericError, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import { type Combine, shares } from './combine.js'
import { memberLabels } from './member-labels.js'
import { memberLogits, type OutputOptions } from './member-logits.js'

/**
 * What several members said about the same rows, as one: their logits [N, C] (float32, or stored as float16 or bfloat16) → `logits`
 * float32 [N, C]. Other outputs are left out.
 *
 * @throws ArgumentError, NotFoundError, ShapeError naming the member; NumericError naming member and row of a NaN or +∞, or the
 *   row in which the members together leave no class
 */
export function combineOutputs(
  outputs: readonly TensorMap[],
  combine: Combine,
  options: OutputOptions = {},
): TensorMap {
  const caller = 'combineOutputs'
  const labels = memberLabels(caller, 'outputs', outputs, options.names)
  return combined(caller, labels, outputs, combine, shares(caller, combine, outputs.length), options.output)
}

/** `weights` add up to 1; members of weight 0 are looked at for their shape only. */
export function combined(
  caller: string,
  labels: readonly string[],
  outputs: readonly TensorMap[],
  combine: Combine,
  weights: readonly number[],
  output: string | undefined,
): TensorMap {
  const { rows, classes, readers } = memberLogits(caller, labels, outputs, output)
  const counting = readers.filter((_, m) => weights[m]! > 0)
  const above = weights.filter((w) => w > 0)
  const scratch = counting.map(() => new Float64Array(classes))
  const out = new Float64Array(classes)
  const logits = new Float32Array(rows * classes)
  for (let row = 0; row < rows; row++) {
    for (let m = 0; m < counting.length; m++) counting[m]!(row, scratch[m]!)
    combine.row(scratch, above, out)
    checkRow(caller, combine, row, out)
    logits.set(out, row * classes)
  }
  return tensorMap([['logits', tensor('float32', [rows, classes], logits)]])
}

function checkRow(caller: string, combine: Combine, row: number, out: Float64Array): void {
  let top = Number.NEGATIVE_INFINITY
  for (const v of out) {
    if (Number.isNaN(v)) throw new NumericError(caller, `${combine.name} of the members is NaN in row ${row}`)
    if (v > top) top = v
  }
  if (!Number.isFinite(top))
    throw new NumericError(
      caller,
      `${combine.name} of the members leaves no class in row ${row}: each class is given no mass by one of them; take arithmetic()`,
    )
}
