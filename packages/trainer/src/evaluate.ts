import type { Batches } from '@imago/data'
import { ArgumentError, NotFoundError, NumericError, type Predict, ShapeError, type Tensor } from '@imago/tensor'

export interface EvaluateOptions {
  readonly predict: Predict
  /** Labelled batches; one epoch is read. Rows with label −1 are passed over. */
  readonly data: Batches
  readonly signal?: AbortSignal
  /** The output that holds the logits. Default `logits`. */
  readonly output?: string
  /** Count true class × predicted class too. */
  readonly confusion?: boolean
}

/** How well a classifier does on labelled rows. */
export interface Evaluation {
  readonly errors: number
  readonly rows: number
  /** errors / rows */
  readonly errorRate: number
  /** Mean −log p(label), in nats. */
  readonly crossEntropy: number
  /** Expected calibration error over 15 equal bins of confidence (Guo et al. 2017, eq. 3). */
  readonly calibrationError: number
  /** `confusion[true][predicted]`: rows. */
  readonly confusion?: readonly (readonly number[])[]
}

const bins = 15

/**
 * Errors, cross entropy and calibration of a classifier whose logits are [N, C].
 *
 * @throws NotFoundError where the output or the labels are missing, ShapeError where it is not [N, C],
 *   ArgumentError where a label is not a class, NumericError where a row's logits hold NaN
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  const { predict, data, signal, output = 'logits' } = options
  let errors = 0
  let rows = 0
  let nats = 0
  const hits = new Float64Array(bins)
  const confidence = new Float64Array(bins)
  let confusion: number[][] | undefined
  for await (const batch of data.epoch(0)) {
    signal?.throwIfAborted()
    if (!batch.labels)
      throw new NotFoundError(
        'evaluate: the data has no labels',
        'Give labelled rows; how far two models agree (agreement) needs no labels.',
      )
    const logits = logitsOf('evaluate', await predict(batch.inputs, signal), output, batch.ids.length)
    const classes = logits.dims[1]!
    if (options.confusion) confusion ??= Array.from({ length: classes }, () => new Array<number>(classes).fill(0))
    for (let row = 0; row < batch.ids.length; row++) {
      const label = batch.labels[row]!
      if (label === -1) continue
      if (!(label >= 0 && label < classes))
        throw new ArgumentError('evaluate', 'labels', `a class in [0, ${classes}) for row ${batch.ids[row]}`, label)
      const { best, top, logSum } = scan('evaluate', logits.data, row * classes, classes, batch.ids[row]!)
      const probability = Math.exp(top - logSum)
      const bin = Math.min(bins - 1, Math.floor(probability * bins))
      rows++
      nats += logSum - logits.data[row * classes + label]!
      confidence[bin]! += probability
      if (best === label) hits[bin]! += 1
      else errors++
      if (confusion) confusion[label]![best]! += 1
    }
  }
  if (rows === 0) throw new NotFoundError('evaluate: no labelled row in the data', 'Give rows with labels ≥ 0.')
  let gap = 0
  for (let bin = 0; bin < bins; bin++) gap += Math.abs(hits[bin]! - confidence[bin]!)
  return {
    errors,
    rows,
    errorRate: errors / rows,
    crossEntropy: nats / rows,
    calibrationError: gap / rows,
    ...(confusion && { confusion }),
  }
}

/** The tensor `output` of a prediction, checked to be float [rows, C]. */
export function logitsOf(
  caller: string,
  outputs: { readonly [name: string]: Tensor },
  output: string,
  rows: number,
): Tensor<'float32'> {
  const logits = outputs[output]
  if (!logits)
    throw new NotFoundError(
      `${caller}: there is no output "${output}" among ${Object.keys(outputs).join(', ') || 'no outputs'}`,
      'Name the output that holds the logits.',
    )
  if (logits.type !== 'float32' || logits.dims.length !== 2 || logits.dims[0] !== rows)
    throw new ShapeError(caller, output, `float32 [N=${rows}, C]`, `${logits.type} [${logits.dims.join(', ')}]`)
  return logits as Tensor<'float32'>
}

/** The best class of a row (the first of equals), its logit, and the logarithm of the sum of exponentials. */
export function scan(
  caller: string,
  data: Float32Array,
  from: number,
  classes: number,
  id: number,
): { best: number; top: number; logSum: number } {
  let best = 0
  let top = Number.NEGATIVE_INFINITY
  for (let c = 0; c < classes; c++) {
    const value = data[from + c]!
    if (Number.isNaN(value))
      throw new NumericError(caller, `the logits of row ${id} hold NaN; the model or its input is broken`)
    if (value > top) {
      top = value
      best = c
    }
  }
  if (!Number.isFinite(top))
    throw new NumericError(caller, `the largest logit of row ${id} is ${top}; the model or its input is broken`)
  let sum = 0
  for (let c = 0; c < classes; c++) sum += Math.exp(data[from + c]! - top)
  return { best, top, logSum: top + Math.log(sum) }
}
