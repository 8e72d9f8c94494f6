import {
  ArgumentError,
  dims,
  type Predict,
  ShapeError,
  type Tensor,
  type TensorMap,
  tensor,
  tensorMap,
} from '@imago/tensor'
import { confidence } from './confidence.js'
import { gatherRows, rowCount } from './gather-rows.js'
import { MemberError } from './member-error.js'
import { checkCallable, memberLabels } from './member-labels.js'
import type { OutputOptions } from './member-logits.js'
import { logitTypes, outputOf, rowReader } from './row-reader.js'

export interface CascadeOptions extends OutputOptions {
  /** Rows that a stage gets in one call; all that reach it unless given. */
  readonly batchSize?: number | undefined
}

/**
 * Stages from cheap to dear as one predictor (a cascade: Goodfellow, Bengio & Courville 2016, §12.1.5): a row is answered by the
 * first stage whose confidence, its largest probability, is ≥ that stage's threshold; the last stage answers what is left.
 *
 * Rows are grouped by branch: a stage gets all rows that reach it together, in their order, in full batches of `batchSize`. The more
 * rows a call has, the fuller the batches of late stages. A stage that no row reaches is not run.
 *
 * Inputs [N, …] → `logits` float32 [N, C] of the stage that answered, and `stage` int32 [N], its index. A threshold of 0 lets
 * everything answer, one above 1 (`never`) nothing. `calibrateCascade` finds thresholds.
 *
 * @throws ArgumentError (thresholds: one for each stage but the last, ≥ 0); the predictor: MemberError with the stage that failed,
 *   ShapeError naming the stage whose rows or classes differ, NumericError naming stage and row, the signal's reason
 */
export function cascade(
  stages: readonly Predict[],
  thresholds: readonly number[],
  options: CascadeOptions = {},
): Predict {
  const caller = 'cascade'
  const { names, output = 'logits', batchSize } = options
  const labels = memberLabels(caller, 'stages', stages, names)
  checkCallable(caller, labels, stages)
  checkThresholds(caller, thresholds, stages.length)
  if (batchSize !== undefined && !(Number.isSafeInteger(batchSize) && batchSize > 0))
    throw new ArgumentError(caller, 'batchSize', 'a whole number ≥ 1', batchSize)

  const answer = async (
    s: number,
    inputs: TensorMap,
    rows: number,
    classes: number | undefined,
    signal?: AbortSignal,
  ) => {
    signal?.throwIfAborted()
    let given: TensorMap
    try {
      given = await stages[s]!(inputs, signal)
    } catch (cause) {
      signal?.throwIfAborted()
      throw new MemberError(caller, labels[s]!, s, names?.[s], cause)
    }
    const logits = outputOf(caller, labels[s]!, given, output)
    dims(caller, { [labels[s]!]: [logits, `${rows} ${classes ?? 'C'}`, logitTypes] })
    if (logits.dims[1] === 0)
      throw new ShapeError(caller, labels[s]!, `[${rows}, C] with at least one class`, `[${rows}, 0]`)
    return logits
  }

  return async (inputs, signal) => {
    const rows = rowCount(caller, inputs)
    const stage = new Int32Array(rows)
    let logits: Tensor<'float32'> | undefined
    let pending = Uint32Array.from({ length: rows }, (_, row) => row)
    for (let s = 0; s < stages.length && (s === 0 || pending.length > 0); s++) {
      const threshold = s === stages.length - 1 ? 0 : thresholds[s]!
      const goesOn: number[] = []
      const step = batchSize ?? Math.max(1, pending.length)
      // Without rows the first stage is asked all the same: it knows the classes.
      for (let from = 0; from === 0 || from < pending.length; from += step) {
        const at = pending.subarray(from, from + step)
        const part = at.length === rows ? inputs : gatherRows(inputs, at)
        const given = await answer(s, part, at.length, logits?.dims[1], signal)
        const classes = given.dims[1]!
        logits ??= tensor('float32', [rows, classes], new Float32Array(rows * classes))
        const read = rowReader(caller, labels[s]!, given)
        const z = new Float64Array(classes)
        for (const [i, row] of at.entries()) {
          read(i, z, row)
          if (confidence(z) >= threshold) {
            logits.data.set(z, row * classes)
            stage[row] = s
          } else goesOn.push(row)
        }
      }
      pending = Uint32Array.from(goesOn)
    }
    signal?.throwIfAborted()
    return tensorMap([
      ['logits', logits!],
      ['stage', tensor('int32', [rows], stage)],
    ])
  }
}

/** A threshold that no confidence reaches. (Not Infinity, which JSON cannot hold.) */
export const never = 2

/** @throws ArgumentError */
export function checkThresholds(caller: string, thresholds: readonly number[], stages: number): void {
  if (!Array.isArray(thresholds) || thresholds.length !== stages - 1)
    throw new ArgumentError(
      caller,
      'thresholds',
      `${stages - 1} numbers, one for each stage but the last, which answers always`,
      thresholds,
    )
  const bad = thresholds.findIndex((t) => !(typeof t === 'number' && t >= 0))
  if (bad >= 0) throw new ArgumentError(caller, `thresholds[${bad}]`, 'a number ≥ 0', thresholds[bad])
}
