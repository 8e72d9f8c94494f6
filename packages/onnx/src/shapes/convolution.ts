import { intAttribute, intsAttribute, stringAttribute } from '../attributes.js'
import { mulDim } from '../dim.js'
import type { Dim, Node, Shape } from '../ir.js'
import { at, dimAt, hasInput, mismatch, type ShapeContext, type ShapeRule, type ShapeRules } from './rule.js'

interface Window {
  readonly kernel: Shape
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  /** Begins of all axes, then ends. */
  readonly pads: readonly number[]
  readonly autoPad: string
  readonly ceil: boolean
}

function windowOf(node: Node, rank: number, kernel: Shape): Window {
  const ones = new Array<number>(rank).fill(1)
  return {
    kernel,
    strides: intsAttribute(node, 'strides', ones),
    dilations: intsAttribute(node, 'dilations', ones),
    pads: intsAttribute(node, 'pads', new Array<number>(2 * rank).fill(0)),
    autoPad: stringAttribute(node, 'auto_pad', 'NOTSET'),
    ceil: intAttribute(node, 'ceil_mode', 0) !== 0,
  }
}

/** How many places a window of axis `i` takes over `size`. */
function places(size: Dim, i: number, rank: number, window: Window, context: ShapeContext): Dim {
  const stride = window.strides[i] ?? 1
  const kernel = window.kernel[i] ?? 1
  if (window.autoPad.startsWith('SAME')) {
    if (typeof size === 'number') return Math.ceil(size / stride)
    return stride === 1 ? size : context.fresh(`ceil(${size} / ${stride})`)
  }
  if (typeof kernel !== 'number') return context.fresh()
  const [begin, end] = window.autoPad === 'VALID' ? [0, 0] : [window.pads[i] ?? 0, window.pads[i + rank] ?? 0]
  const slack = begin + end - ((kernel - 1) * (window.dilations[i] ?? 1) + 1)
  if (typeof size !== 'number')
    return stride === 1 && slack === -1
      ? size
      : context.fresh(`places(${size}, ${slack}, ${stride}${window.ceil ? `, ceil ${begin}` : ''})`)
  if (!window.ceil) return Math.floor((size + slack) / stride) + 1
  const count = Math.ceil((size + slack) / stride) + 1
  return (count - 1) * stride >= size + begin ? count - 1 : count // a window that starts in the padding behind is left out
}

function placed(node: Node, shape: Shape, window: Window, context: ShapeContext): Shape {
  const space = shape.slice(2)
  const result = space.map((size, i) => places(size, i, space.length, window, context))
  if (result.some((size) => typeof size === 'number' && !(size >= 0 && Number.isSafeInteger(size))))
    mismatch(node, 'at least as large as the window, whose strides are > 0', shape)
  return result
}

/** x [N, C, …space], w [M, C/group, …kernel] → [N, M, …] */
const conv: ShapeRule = (node, inputs, context) => {
  const { type = at(inputs, 1).type, shape: x } = at(inputs, 0)
  const w = at(inputs, 1).shape
  if (x === undefined || w === undefined) return [{ type }]
  if (x.length !== w.length || x.length < 3) mismatch(node, 'images and filters of the same rank', x, w)
  const channels = mulDim(dimAt(w, 1), intAttribute(node, 'group', 1))
  if (typeof x[1] === 'number' && typeof channels === 'number' && x[1] !== channels)
    mismatch(node, `images with the ${channels} channels of the filters`, x, w)
  const kernel = intsAttribute(node, 'kernel_shape', undefined) ?? w.slice(2)
  const window = windowOf(node, x.length - 2, kernel)
  return [{ type, shape: [dimAt(x, 0), dimAt(w, 0), ...placed(node, x, { ...window, ceil: false }, context)] }]
}

/** x [N, C, …space], w [C, M/group, …kernel] → [N, M, …] */
const convTranspose: ShapeRule = (node, inputs, context) => {
  const { type = at(inputs, 1).type, shape: x } = at(inputs, 0)
  const w = at(inputs, 1).shape
  if (x === undefined || w === undefined) return [{ type }]
  if (x.length !== w.length || x.length < 3) mismatch(node, 'images and filters of the same rank', x, w)
  const rank = x.length - 2
  const window = windowOf(node, rank, intsAttribute(node, 'kernel_shape', undefined) ?? w.slice(2))
  const asked = intsAttribute(node, 'output_shape', undefined)
  const extra = intsAttribute(node, 'output_padding', new Array<number>(rank).fill(0))
  const spread = (size: Dim, i: number): Dim => {
    const stride = window.strides[i] ?? 1
    if (window.autoPad.startsWith('SAME')) return mulDim(size, stride)
    const kernel = window.kernel[i] ?? 1
    if (typeof kernel !== 'number') return context.fresh()
    const pads = window.autoPad === 'VALID' ? 0 : (window.pads[i] ?? 0) + (window.pads[i + rank] ?? 0)
    const more = (extra[i] ?? 0) + (kernel - 1) * (window.dilations[i] ?? 1) + 1 - pads - stride
    if (typeof size === 'number') return stride * size + more
    return more === 0 ? mulDim(size, stride) : context.fresh(`${stride} * ${size} + ${more}`)
  }
  const space = asked === undefined ? x.slice(2).map(spread) : asked.slice(-rank)
  return [{ type, shape: [dimAt(x, 0), mulDim(dimAt(w, 1), intAttribute(node, 'group', 1)), ...space] }]
}

const pool: ShapeRule = (node, inputs, context) => {
  const { type, shape: x } = at(inputs, 0)
  if (x === undefined) return [{ type }, { type: 'int64' }]
  const kernel = intsAttribute(node, 'kernel_shape', undefined)
  if (kernel === undefined || x.length !== kernel.length + 2) mismatch(node, 'images as kernel_shape says', x)
  const shape = [...x.slice(0, 2), ...placed(node, x, windowOf(node, kernel.length, kernel), context)]
  return [
    { type, shape },
    { type: 'int64', shape },
  ]
}

const globalPool: ShapeRule = (_node, inputs) => {
  const { type, shape } = at(inputs, 0)
  return [{ type, shape: shape?.map((dim, i) => (i < 2 ? dim : 1)) }]
}

const depthToSpace: ShapeRule = (node, inputs) => {
  const { type, shape } = at(inputs, 0)
  const block = intAttribute(node, 'blocksize', 1)
  if (shape?.length !== 4 || typeof shape[1] !== 'number') return [{ type }]
  const [n, c, h, w] = shape as [Dim, number, Dim, Dim]
  return [{ type, shape: [n, c / (block * block), mulDim(h, block), mulDim(w, block)] }]
}

/** Adds the bias-free padding of patches: x [N, C·kernel, L] → image_shape [2], block_shape [2]. */
const col2Im: ShapeRule = (node, inputs) => {
  const { type, shape } = at(inputs, 0)
  const image = at(inputs, 1).value
  const block = at(inputs, 2).value
  if (shape?.length !== 3 || typeof shape[1] !== 'number' || !hasInput(node, 2)) return [{ type }]
  if (image === undefined || block === undefined || !image.every((dim) => dim !== undefined)) return [{ type }]
  const size = block.reduce((sum: number, dim) => sum * (typeof dim === 'number' ? dim : Number.NaN), 1)
  return Number.isInteger(shape[1] / size)
    ? [{ type, shape: [shape[0]!, shape[1] / size, ...(image as Shape)] }]
    : [{ type }]
}

export const convolutionRules: ShapeRules = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pool,
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: globalPool,
  DepthToSpace: depthToSpace,
  Col2Im: col2Im,
}
