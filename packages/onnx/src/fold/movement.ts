import { type Tensor, zeros } from '@imago/tensor'
import { intAttribute, intsAttribute } from '../attributes.js'
import type { Evaluators } from './evaluate.js'
import { broadcastStrides, reshaped, strided, stridesOf } from './strided.js'

const move = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)

/** Whole numbers of an int64 or int32 tensor, the huge ones (as "to the end") clamped; none of other types. */
function ints(tensor: Tensor): number[] | undefined {
  if (tensor.type !== 'int64' && tensor.type !== 'int32') return undefined
  const limit = Number.MAX_SAFE_INTEGER
  return Array.from(tensor.data as ArrayLike<number | bigint>, (value) =>
    Math.max(-limit, Math.min(limit, Number(value))),
  )
}

/** Ops that only move elements; any element type. `dims` is the output's shape. */
export const movementEvaluators: Evaluators = {
  Reshape: (_node, [x], dims) => reshaped(x!, dims),
  Flatten: (_node, [x], dims) => reshaped(x!, dims),
  Squeeze: (_node, [x], dims) => reshaped(x!, dims),
  Unsqueeze: (_node, [x], dims) => reshaped(x!, dims),
  Identity: (_node, [x], dims) => reshaped(x!, dims),
  Expand: (_node, [x], dims) => strided(x!, dims, broadcastStrides(x!.dims, dims)),

  Transpose(node, [x], dims) {
    const strides = stridesOf(x!.dims)
    const order = intsAttribute(node, 'perm', undefined) ?? [...dims.keys()].reverse()
    return strided(
      x!,
      dims,
      order.map((axis) => strides[axis]!),
    )
  },

  Slice(node, [x, startsIn, endsIn, axesIn, stepsIn], dims) {
    const rank = x!.dims.length
    const starts = startsIn === undefined ? intsAttribute(node, 'starts', []) : ints(startsIn)
    if (endsIn === undefined && !node.attributes.has('ends')) return undefined
    if (starts === undefined) return undefined
    const axes = axesIn === undefined ? intsAttribute(node, 'axes', [...starts.keys()]) : ints(axesIn)
    const steps = stepsIn === undefined ? starts.map(() => 1) : ints(stepsIn)
    const isSound = axes?.length === starts.length && steps?.length === starts.length
    if (!isSound || axes.some((axis) => !(move(axis, rank) in x!.dims))) return undefined
    const strides = stridesOf(x!.dims)
    let offset = 0
    for (const [i, given] of axes.entries()) {
      const axis = move(given, rank)
      const size = x!.dims[axis]!
      const start = starts[i]! < 0 ? starts[i]! + size : starts[i]!
      const step = steps[i]!
      offset += Math.max(0, Math.min(step > 0 ? size : size - 1, start)) * strides[axis]!
      strides[axis] = strides[axis]! * step
    }
    return strided(x!, dims, strides, offset)
  },

  Concat(node, tensors, dims) {
    const axis = move(intAttribute(node, 'axis', 1), dims.length)
    const [first] = tensors
    if (tensors.some((tensor) => tensor!.type !== first!.type || tensor!.dims.length !== dims.length)) return undefined
    const result = zeros(first!.type, dims)
    const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1)
    const outer = dims.slice(0, axis).reduce((a, b) => a * b, 1)
    const to = result.data as unknown as { [i: number]: unknown }
    let start = 0
    for (const tensor of tensors) {
      const run = tensor!.dims[axis]! * inner
      const from = tensor!.data as unknown as { [i: number]: unknown }
      for (let row = 0; row < outer; row++)
        for (let i = 0; i < run; i++) to[row * dims[axis]! * inner + start + i] = from[row * run + i]
      start += run
    }
    return result
  },

  Gather(node, [x, indices], dims) {
    const axis = move(intAttribute(node, 'axis', 0), x!.dims.length)
    const size = x!.dims[axis]!
    const inner = x!.dims.slice(axis + 1).reduce((a, b) => a * b, 1)
    const outer = x!.dims.slice(0, axis).reduce((a, b) => a * b, 1)
    const picked = ints(indices!)?.map((i) => move(i, size))
    if (picked === undefined || picked.some((i) => i < 0 || i >= size)) return undefined
    const result = zeros(x!.type, dims)
    const from = x!.data as unknown as { [i: number]: unknown }
    const to = result.data as unknown as { [i: number]: unknown }
    let next = 0
    for (let row = 0; row < outer; row++)
      for (const pick of picked) for (let i = 0; i < inner; i++) to[next++] = from[(row * size + pick) * inner + i]
    return result
  },
}
