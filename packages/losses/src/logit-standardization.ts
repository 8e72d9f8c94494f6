import { ArgumentError, ShapeError, type Tensor, tensorMap } from '@imago/tensor'
import { find } from './classifier-rows.js'
import { single } from './counted.js'
import { gradientBuffer } from './gradient-buffer.js'
import type { Loss } from './loss.js'

const eps = 1e-7

/**
 * A loss on standardized logits (Sun et al. 2024, alg. 1): student and teacher meet as (z − mean)/(σ + 1e-7), each row with its own mean and
 * standard deviation σ (of C − 1), so that the student need not match how far the teacher's logits are spread. The authors put it before soft targets at T = 2 with nine
 * times the usual weight, and before DKD; labels are for logits as they are, so add `hardLabel` by `weighted`.
 *
 * @example weighted({ soft: [logitStandardization(softTarget({ temperature: 2 })), 9], hard: [hardLabel(), 1] })
 * @throws ArgumentError for a loss that reads other than logits of student and teacher; `evaluate`: ShapeError for fewer than two classes
 */
export function logitStandardization(loss: Loss): Loss {
  const [output, ...others] = loss.needs.student
  if (output === undefined || others.length > 0 || !loss.needs.targets.includes('logits'))
    throw new ArgumentError('logitStandardization', 'loss', 'one between logits of student and teacher', loss.needs)
  const buffers = { student: gradientBuffer(), teacher: gradientBuffer(), gradient: gradientBuffer() }
  return {
    ...loss,
    evaluate(student, targets, parameters, at) {
      const z = standardized(find('logitStandardization', 'student output', output, student), buffers.student)
      const v = standardized(find('logitStandardization', 'target', 'logits', targets), buffers.teacher)
      const inner = tensorMap(Object.entries(targets))
      inner.logits = v.unit
      const result = loss.evaluate(tensorMap([[output, z.unit]]), inner, parameters, at)
      const gradient = buffers.gradient(z.unit.dims)
      const given = result.cotangents[output]!.data as Float32Array
      z.deviations.forEach((deviation, row) => {
        pull(given, z.unit.data, gradient.data, row * z.classes, z.classes, deviation)
      })
      return { ...result, cotangents: tensorMap([[output, gradient]]) }
    },
  }
}

interface Standardized {
  readonly unit: Tensor<'float32'>
  readonly classes: number
  readonly deviations: Float64Array
}

function standardized(logits: Tensor, buffer: ReturnType<typeof gradientBuffer>): Standardized {
  const { dims, data } = single(logits)
  const classes = dims.at(-1) ?? 0
  if (dims.length !== 2 || classes < 2)
    throw new ShapeError('logitStandardization', 'logits', '[N, C] with C ≥ 2', `[${dims.join(', ')}]`)
  const unit = buffer(dims)
  const deviations = Float64Array.from({ length: dims[0]! }, (_, row) => {
    const x = data.subarray(row * classes, (row + 1) * classes)
    const mean = x.reduce((sum, one) => sum + one, 0) / classes
    const deviation = Math.sqrt(x.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (classes - 1))
    for (let c = 0; c < classes; c++) unit.data[row * classes + c] = (x[c]! - mean) / (deviation + eps)
    return deviation
  })
  return { unit, classes, deviations }
}

/** dz = (g − mean g − u·Σ g·u · (σ + ε)/(σ·(C − 1)))/(σ + ε), u the standardized row; 0 for a row of which nothing came. */
function pull(
  given: Float32Array,
  unit: Float32Array,
  gradient: Float32Array,
  from: number,
  classes: number,
  deviation: number,
): void {
  let [sum, along, any] = [0, 0, false]
  for (let i = from; i < from + classes; i++) {
    if (given[i] === 0) continue
    any = true
    sum += given[i]!
    along += given[i]! * unit[i]!
  }
  const spread = deviation + eps
  const shrink = deviation > 0 ? (along * spread) / (deviation * (classes - 1)) : 0
  for (let i = from; i < from + classes; i++)
    gradient[i] = any ? (given[i]! - sum / classes - shrink * unit[i]!) / spread : 0
}
