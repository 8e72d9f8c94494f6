import { ArgumentError, elementCount, ShapeError, type Tensor, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import { find } from './classifier-rows.js'
import type { Loss } from './loss.js'

export interface HeadOptions {
  /** The student output that holds logits [N, C] or [N, …, C]; default `logits`. */
  readonly student?: string
  /** The targets that hold the teacher's logits, labels and weights of this head; default `logits`, `labels`, `weights`. */
  readonly logits?: string
  readonly labels?: string
  readonly weights?: string
}

/**
 * A loss on logits at one head of several, or at every position of sequences: logits [N, T, C] are N·T rows, labels [N, T] and weights [N, T] (a mask: 0 is
 * padding, which is not read) belong to them. Labels and weights may be of any number type.
 *
 * @example head(softTarget({ temperature: 2 }), { student: 'tags', logits: 'tags', weights: 'attention_mask' })
 * @throws ArgumentError for a loss that reads several outputs; `evaluate`: ShapeError where positions disagree
 */
export function head(loss: Loss, options: HeadOptions = {}): Loss {
  const { student: output = 'logits' } = options
  const [inner, ...others] = loss.needs.student
  if (inner === undefined || others.length > 0)
    throw new ArgumentError('head', 'loss', 'one that reads one output of the student', loss.needs.student)
  const names: { readonly [target: string]: string } = {
    logits: options.logits ?? 'logits',
    labels: options.labels ?? 'labels',
    weights: options.weights ?? 'weights',
  }
  return {
    ...loss,
    needs: { student: [output], targets: loss.needs.targets.map((name) => names[name] ?? name) },
    evaluate(student, targets, parameters, at) {
      const z = find('head', 'student output', output, student)
      const rows = rowsOf(z)
      const flat = tensorMap(Object.entries(targets).filter(([name]) => names[name] === undefined))
      for (const [name, given] of Object.entries(names)) {
        const value = targets[given]
        if (value !== undefined) flat[name] = flattened(given, name, value, rows)
      }
      const result = loss.evaluate(tensorMap([[inner, matrix(z)]]), flat as TensorMap, parameters, at)
      const cotangent = result.cotangents[inner]!
      return { ...result, cotangents: tensorMap([[output, { ...cotangent, dims: z.dims }]]) }
    },
  }
}

function rowsOf({ dims }: Tensor): number {
  return elementCount(dims.slice(0, -1))
}

function matrix(value: Tensor): Tensor {
  return { ...value, dims: [rowsOf(value), value.dims.at(-1)!] }
}

function flattened(given: string, name: string, value: Tensor, rows: number): Tensor {
  const positions = name === 'logits' ? rowsOf(value) : elementCount(value.dims)
  if (positions !== rows)
    throw new ShapeError('head', given, `of ${rows} rows, as many as the student's logits have`, `${positions}`)
  if (name === 'logits') return matrix(value)
  const numbers = value.data as ArrayLike<number | bigint>
  if (name === 'labels')
    return value.type === 'int32'
      ? { ...value, dims: [rows] }
      : tensor(
          'int32',
          [rows],
          Int32Array.from({ length: rows }, (_, i) => Number(numbers[i])),
        )
  return value.type === 'float32'
    ? { ...value, dims: [rows] }
    : tensor(
        'float32',
        [rows],
        Float32Array.from({ length: rows }, (_, i) => Number(numbers[i])),
      )
}
