import { ArgumentError, type TensorMap } from '@imago/tensor'
import { argmax, confidence } from './confidence.js'
import { labelledRows } from './labelled-rows.js'
import { memberLabels } from './member-labels.js'
import { memberLogits, type OutputOptions } from './member-logits.js'

export interface CascadeHoldOut extends OutputOptions {
  /** What each stage gave for the same hold-out rows, with logits [N, C], from cheap to dear. */
  readonly outputs: readonly TensorMap[]
  /** The class of each hold-out row; −1 and −100 are passed over. */
  readonly labels: Int32Array
  /** What a row costs in each stage, in any one unit: milliseconds, multiplications. A row pays every stage that it reaches. */
  readonly costs: readonly number[]
}

/** What a cascade comes to on rows whose labels are known. */
export interface CascadePoint {
  readonly thresholds: readonly number[]
  /** The share of rows that are answered right. */
  readonly accuracy: number
  /** The mean cost of a row. */
  readonly cost: number
  /** The share of rows that each stage answers. */
  readonly answered: readonly number[]
}

/** Each stage's confidence and success on each labelled row. */
export interface StageRows {
  readonly rows: number
  readonly confidences: readonly Float64Array[]
  readonly right: readonly Uint8Array[]
  /** The cost of a row that each stage answers: its own and that of all before it. */
  readonly upTo: readonly number[]
}

/** @throws ArgumentError, NotFoundError, ShapeError naming the stage, NumericError */
export function stageRows(caller: string, holdOut: CascadeHoldOut): StageRows {
  const { outputs, labels, costs } = holdOut
  const called = memberLabels(caller, 'outputs', outputs, holdOut.names)
  if (!Array.isArray(costs) || costs.length !== outputs.length)
    throw new ArgumentError(caller, 'costs', `${outputs.length} numbers, one a stage`, costs)
  const bad = costs.findIndex((cost) => !(typeof cost === 'number' && cost >= 0 && cost < Number.POSITIVE_INFINITY))
  if (bad >= 0) throw new ArgumentError(caller, `costs[${bad}]`, 'a finite number ≥ 0', costs[bad])
  const { rows, classes, readers } = memberLogits(caller, called, outputs, holdOut.output)
  const at = labelledRows(caller, labels, rows, classes)
  const confidences = readers.map(() => new Float64Array(at.length))
  const right = readers.map(() => new Uint8Array(at.length))
  const z = new Float64Array(classes)
  for (const [s, read] of readers.entries())
    for (const [i, row] of at.entries()) {
      read(row, z)
      confidences[s]![i] = confidence(z)
      right[s]![i] = argmax(z) === labels[row] ? 1 : 0
    }
  let sum = 0
  return { rows: at.length, confidences, right, upTo: costs.map((cost) => (sum += cost)) }
}
