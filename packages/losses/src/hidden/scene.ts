import { builder } from '@imago/onnx'
import { ArgumentError, type Tensor, type TensorMap, tensorMap } from '@imago/tensor'
import { type Algebra, algebra, type Precision } from './algebra.js'
import type { HiddenTensor, LossGraph } from './loss-graph.js'

/** What the file of one paper gets: the tensors that meet, weights, and the means of the house. */
export interface Scene extends Algebra {
  readonly type: Precision
  /** Tensors of student and teacher [N, …row]; rows of weight 0 are 0, whatever they held. */
  readonly student: readonly string[]
  readonly teacher: readonly string[]
  /** [R] with R = N, or N·T of sequences. */
  readonly weights: string
  /** Σ w·x / Σ w of one number a row; 0 where no row counts. */
  mean(rows: string): string
  /** Σ w_i·w_j·x_ij / (Σ w)² of [R, R]. */
  meanOfPairs(pairs: string): string
  /** A tensor that is trained with the student. */
  parameter(name: string, start: Tensor<'float32'>): string
}

export interface SceneOptions {
  readonly student: readonly HiddenTensor[]
  readonly teacher: readonly HiddenTensor[]
  readonly weights?: string | undefined
  readonly type?: Precision | undefined
  /** Row ranks that the loss can take. */
  readonly ranks: readonly number[]
}

/** A loss between tensors of student and teacher as a graph. `build` gives the parts by name, the loss first. */
export function hiddenLoss(
  caller: string,
  options: SceneOptions,
  build: (scene: Scene) => { readonly [part: string]: string },
): LossGraph {
  const { type = 'float32', weights = 'weights' } = options
  for (const side of ['student', 'teacher'] as const)
    for (const tensor of options[side]) checkTensor(caller, side, tensor, options.ranks)
  const [first] = options.student
  const sequence = first!.dims.length === 2
  const b = builder()
  const maths = algebra(b, type)
  const { op, reshape, total, where } = maths
  const given = b.input('weights', type, sequence ? ['N', first!.dims[0]!] : ['N'])
  const counts = op('Greater', given, 0)
  const seen = (side: string, { name, dims }: HiddenTensor): string => {
    const x = b.input(`${side}/${name}`, type, ['N', ...dims])
    return where(reshape(counts, dims.length === 2 ? [0, 0, 1] : [0, ...dims.map(() => 1)]), x)
  }
  const unique = (side: string, tensors: readonly HiddenTensor[]): string[] => {
    const made = new Map<string, string>()
    return tensors.map((one) => {
      const value = made.get(one.name) ?? seen(side, one)
      made.set(one.name, value)
      return value
    })
  }
  const w = reshape(given, [-1])
  const sum = total(w)
  const whole = op('Where', op('Greater', sum, 0), sum, 1)
  const parameters: { [name: string]: Tensor } = tensorMap()
  const parts = build({
    ...maths,
    type,
    student: unique('student', options.student),
    teacher: unique('target', options.teacher),
    weights: w,
    mean: (rows) => op('Div', total(op('Mul', w, reshape(rows, [-1]))), whole),
    meanOfPairs(pairs) {
      const both = op('Mul', reshape(w, [-1, 1]), reshape(w, [1, -1]))
      return op('Div', total(op('Mul', both, pairs)), op('Mul', whole, whole))
    },
    parameter(name, start) {
      parameters[name] = start
      return b.input(`parameter/${name}`, type, start.dims)
    },
  })
  for (const [name, value] of Object.entries(parts))
    b.output(b.op('Identity', [value], {}, { outputs: [name] }), type, [])
  return { graph: b.graph(), parameters: parameters as TensorMap, weights }
}

function checkTensor(caller: string, side: string, { name, dims }: HiddenTensor, ranks: readonly number[]): void {
  const sizes = dims.length === 2 ? dims.slice(1) : dims
  const whole = sizes.every((dim) => Number.isSafeInteger(dim) && (dim as number) > 0)
  if (!ranks.includes(dims.length) || !whole)
    throw new ArgumentError(
      caller,
      `${side} ${name}`,
      `rows of ${ranks.map((rank) => forms[rank]).join(' or ')}`,
      `[${dims.join(', ')}]`,
    )
}

const forms: { readonly [rank: number]: string } = { 1: '[C]', 2: '[T, C]', 3: '[C, H, W]' }
