import { intAttribute, intsAttribute, stringAttribute, typeCode } from '@imago/onnx'
import { axisOf, constantInts, inverse, nodeAxis, range } from '../axes.js'
import { countOf, reshapeLike, staticSizes, unbroadcast, zerosLike } from '../emit.js'
import type { Rule, RuleTable } from '../rule.js'
import { scatterThrough } from '../scatter.js'

const reshaped: Rule = (node, ctx, [dY]) => [reshapeLike(ctx, dY!, node.inputs[0]!)]

const transpose: Rule = (node, ctx, [dY]) => {
  const rank = ctx.ranked(node.inputs[0]!).length
  const perm = intsAttribute(node, 'perm', range(rank).reverse())
  return [ctx.b.op('Transpose', [dY!], { perm: inverse(perm) })]
}

const concat: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const axis = nodeAxis(node, 0, ctx.ranked(node.outputs[0]!).length)
  if (node.inputs.length === 1) return [dY]
  const sizes = staticSizes(node.inputs.map((input) => ctx.ranked(input)[axis]!))
  if (sizes !== undefined) {
    // A Slice for each part that is wanted; nothing is cut out for the others.
    const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size, 0))
    return sizes.map((size, i) =>
      ctx.needs(i)
        ? b.op('Slice', [dY!, b.ints([starts[i]!]), b.ints([starts[i]! + size]), b.ints([axis])])
        : undefined,
    )
  }
  const lengths = node.inputs.map((input) => {
    const size = countOf(ctx, input, [axis])
    return typeof size === 'number' ? b.ints([size]) : size
  })
  const split = b.op('Concat', lengths, { axis: 0 })
  return b.ops('Split', [dY!, split], { axis }, { outputs: node.inputs.length })
}

const split: Rule = (node, ctx, cotangents) => {
  const axis = nodeAxis(node, 0, ctx.ranked(node.inputs[0]!).length)
  if (node.outputs.includes('')) ctx.refuse('one of its outputs has no name; name it')
  const parts = cotangents.map((value, i) => value ?? zerosLike(ctx, node.outputs[i]!))
  return [parts.length === 1 ? parts[0] : ctx.b.op('Concat', parts, { axis })]
}

const slice: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, starts, ends, axes, steps] = node.inputs as [string, string?, string?, string?, string?]
  if (!starts || !ends)
    return ctx.refuse('its starts and ends are attributes, as before opset 10; convert the model to opset 13 or later')
  const shape = ctx.ranked(x)
  const pads = slicePads(
    shape,
    constantInts(ctx, starts),
    constantInts(ctx, ends),
    axes ? constantInts(ctx, axes) : range(shape.length),
    steps ? constantInts(ctx, steps) : [],
  )
  if (pads !== undefined) return [b.op('Pad', [dY!, b.ints(pads), ctx.scalar(0, x)])]
  const rest = node.inputs.slice(1)
  return [scatterThrough(ctx, x, dY!, (positions) => b.op('Slice', [positions, ...rest]))]
}

/** The zeros around a slice of step 1 on static axes: before each axis, then after each. Undefined for every other slice. */
function slicePads(
  shape: readonly (number | string)[],
  starts: readonly number[] | undefined,
  ends: readonly number[] | undefined,
  axes: readonly number[] | undefined,
  steps: readonly number[] | undefined,
): number[] | undefined {
  if (starts === undefined || ends === undefined || axes === undefined || steps?.every((step) => step === 1) !== true)
    return undefined
  const rank = shape.length
  const pads = new Array<number>(2 * rank).fill(0)
  for (const [i, start] of starts.entries()) {
    const axis = axisOf(axes[i]!, rank)
    const size = shape[axis]!
    if (typeof size !== 'number') return undefined
    const bound = (at: number): number => Math.min(size, Math.max(0, at < 0 ? at + size : at))
    const from = bound(start)
    pads[axis] = from
    pads[rank + axis] = size - Math.max(from, bound(ends[i]!))
  }
  return pads
}

const gather: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, indices] = node.inputs as [string, string]
  const rank = ctx.ranked(x).length
  const axis = nodeAxis(node, 0, rank)
  const row = staticSizes(ctx.ranked(x).slice(1))
  if (axis === 0 && row !== undefined && rank > 0) {
    // Rows of a table (an embedding): positions per row, so that nothing of the table's size is made but the gradient.
    const width = row.reduce((product, size) => product * size, 1)
    const rows = b.op('Reshape', [dY!, b.ints([-1, width])])
    const at = b.op('Reshape', [b.op('Cast', [indices], { to: typeCode('int64') }), b.ints([-1, 1])])
    const wide = b.op('Expand', [at, b.ints([1, width])])
    const count = countOf(ctx, x, [0])
    const table = b.op('Concat', [typeof count === 'number' ? b.ints([count]) : count, b.ints([width])], { axis: 0 })
    const zeros = b.op('Expand', [ctx.scalar(0, x), table])
    const sum = b.op('ScatterElements', [zeros, wide, rows], { axis: 0, reduction: 'add' })
    return [reshapeLike(ctx, sum, x)]
  }
  return [scatterThrough(ctx, x, dY!, (positions) => b.op('Gather', [positions, indices], { axis }))]
}

const expand: Rule = (node, ctx, [dY]) => [unbroadcast(ctx, dY!, node.outputs[0]!, node.inputs[0]!)]

/** dX = Σ over the copies: [r₀·d₀, r₁·d₁, …] seen as [r₀, d₀, r₁, d₁, …], summed over the r. */
const tile: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, repeats] = node.inputs as [string, string]
  const shape = ctx.ranked(x)
  const times = constantInts(ctx, repeats)
  if (times === undefined) return ctx.refuse(`its repeats "${repeats}" are computed; fold constants first`)
  if (shape.filter((size) => typeof size !== 'number').length > 1)
    return [scatterThrough(ctx, x, dY!, (positions) => b.op('Tile', [positions, repeats]))]
  const apart = shape.flatMap((size, i) => [times[i]!, typeof size === 'number' ? size : -1])
  const copies = b.op('Reshape', [dY!, b.ints(apart)])
  return [b.op('ReduceSum', [copies, b.ints(range(shape.length).map((axis) => 2 * axis))], { keepdims: 0 })]
}

const pad: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, pads, ...rest] = node.inputs as [string, string?, ...string[]]
  if (!pads) return ctx.refuse('its pads are an attribute, as before opset 11; convert the model to opset 13 or later')
  // The fill is wherever zeros padded by ones are not 0.
  const dFill = (fill: string): string => {
    const filled = b.op('Pad', [zerosLike(ctx, x), pads, ctx.scalar(1, x), ...rest.slice(1)])
    return reshapeLike(ctx, b.op('ReduceSum', [b.op('Mul', [dY!, filled])], { keepdims: 0 }), fill)
  }
  const fromFill = rest[0] && ctx.needs(2) ? dFill(rest[0]) : undefined
  if (!ctx.needs(0)) return [undefined, null, fromFill]
  const mode = stringAttribute(node, 'mode', 'constant')
  if (mode !== 'constant') {
    const axes = rest.slice(1)
    return [
      scatterThrough(ctx, x, dY!, (positions) =>
        b.op('Pad', [positions, pads, ...(axes.length > 0 ? ['', ...axes] : [])], { mode }),
      ),
      null,
      fromFill,
    ]
  }
  // A negative pad crops, so the inverse of a pad is the pad of opposite sign.
  const known = constantInts(ctx, pads)
  const back = known === undefined ? b.op('Neg', [pads]) : b.ints(known.map((size) => 0 - size))
  return [b.op('Pad', [dY!, back, ctx.scalar(0, x), ...rest.slice(1)]), null, fromFill]
}

const cast: Rule = (node, ctx, [dY]) => [ctx.b.op('Cast', [dY!], { to: typeCode(ctx.type(node.inputs[0]!)) })]

/** Of the second input only the type is read. */
const castLike: Rule = (node, ctx, [dY]) => [
  ctx.needs(0) ? ctx.b.op('Cast', [dY!], { to: typeCode(ctx.type(node.inputs[0]!)) }) : undefined,
  null,
]

const trilu: Rule = (node, ctx, [dY]) => [
  ctx.b.op('Trilu', [dY!, ...node.inputs.slice(1)], { upper: intAttribute(node, 'upper', 1) }),
]

/** Moves of blocks between channels and space; in mode CRD the channels come in another order. */
const depthToSpace: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const x = node.inputs[0]!
  const size = intAttribute(node, 'blocksize', 1)
  const channels = ctx.ranked(x)[1]!
  const apart = b.op('SpaceToDepth', [dY!], { blocksize: size })
  if (stringAttribute(node, 'mode', 'DCR') === 'DCR') return [apart]
  if (typeof channels !== 'number') return ctx.refuse('its number of channels is not known')
  // SpaceToDepth gives channels as [block, depth]; CRD takes them as [depth, block].
  const depth = channels / (size * size)
  const order = range(channels).map(
    (channel) => (channel % (size * size)) * depth + Math.floor(channel / (size * size)),
  )
  return [b.op('Gather', [apart, b.ints(order)], { axis: 1 })]
}

const spaceToDepth: Rule = (node, ctx, [dY]) => [
  ctx.b.op('DepthToSpace', [dY!], { blocksize: intAttribute(node, 'blocksize', 1), mode: 'DCR' }),
]

export const shape: RuleTable = {
  Identity: (_node, _ctx, [dY]) => [dY],
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  Expand: expand,
  Tile: tile,
  Pad: pad,
  Cast: cast,
  CastLike: castLike,
  Trilu: trilu,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
}
