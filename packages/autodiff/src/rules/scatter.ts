import { intAttribute, intsAttribute, type Node, stringAttribute } from '@imago/onnx'
import { constantInts, nodeAxis, range } from '../axes.js'
import { formulas, mask, reshapeLike, zerosLike } from '../emit.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'
import { scatterAmong, scatterThrough } from '../scatter.js'

const gatherElements: Rule = (node, ctx, [dY]) => {
  const [x, indices] = node.inputs as [string, string]
  const axis = nodeAxis(node, 0, ctx.ranked(x).length)
  return [ctx.b.op('ScatterElements', [zerosLike(ctx, x), indices, dY!], { axis, reduction: 'add' })]
}

const gatherNd: Rule = (node, ctx, [dY]) => {
  const batch = intAttribute(node, 'batch_dims', 0)
  const [x, indices] = node.inputs as [string, string]
  return [scatterThrough(ctx, x, dY!, (positions) => ctx.b.op('GatherND', [positions, indices], { batch_dims: batch }))]
}

/** Values flow back to where they came from, which the op says itself. */
const topK: Rule = (node, ctx, [dY]) => {
  const x = node.inputs[0]!
  const axis = nodeAxis(node, -1, ctx.ranked(x).length)
  if (!node.outputs[1]) return ctx.refuse('its second output (the indices) has no name; name it')
  return [ctx.b.op('ScatterElements', [zerosLike(ctx, x), node.outputs[1], dY!], { axis, reduction: 'add' })]
}

/** How a scattering op writes, and how the other way reads. */
interface Places {
  put(data: string, updates: string, reduction: string): string
  take(value: string): string
}

/** data with updates put in: what was overwritten gets nothing, what was put in gets what lies there now. */
function scattered(places: (node: Node, ctx: RuleContext) => Places): Rule {
  return (node, ctx, [dY]) => {
    const [data, , updates] = node.inputs as [string, string, string]
    const { put, take } = places(node, ctx)
    const reduction = stringAttribute(node, 'reduction', 'none')
    if (reduction === 'none')
      return [
        ctx.needs(0) ? put(dY!, zerosLike(ctx, updates), 'none') : undefined,
        null,
        ctx.needs(2) ? take(dY!) : undefined,
      ]
    if (reduction === 'add') return [dY, null, ctx.needs(2) ? take(dY!) : undefined]
    if (reduction === 'mul') return multiplied(node, ctx, dY!, put, take)
    if (reduction !== 'max' && reduction !== 'min') return ctx.refuse(`its reduction "${reduction}" is not known`)
    // Everything that is the extreme value of its place shares.
    const op = formulas(ctx, data)
    const y = node.outputs[0]!
    const kept = mask(ctx, op('Equal', data, y), data)
    const put1 = mask(ctx, op('Equal', updates, take(y)), data)
    const share = op('Div', dY!, put(kept, put1, 'add'))
    return [op('Mul', share, kept), null, op('Mul', take(share), put1)]
  }
}

/** The slope of a product is the product of the other factors; a factor of 0 leaves a slope only where it is the only one. */
function multiplied(
  node: Node,
  ctx: RuleContext,
  dY: string,
  put: Places['put'],
  take: Places['take'],
): readonly (string | null)[] {
  const [data, , updates] = node.inputs as [string, string, string]
  const op = formulas(ctx, data)
  const isZero = [data, updates].map((value) => op('Equal', value, 0)) as [string, string]
  const factors = [data, updates].map((value, i) => op('Where', isZero[i]!, 1, value)) as [string, string]
  const rest = put(factors[0], factors[1], 'mul')
  const zeros = put(mask(ctx, isZero[0], data), mask(ctx, isZero[1], data), 'add')
  const slope = (i: 0 | 1, at: (value: string) => string): string => {
    const only = op('Where', op('Equal', at(zeros), 1), at(rest), 0)
    const none = op('Where', op('Equal', at(zeros), 0), op('Div', at(rest), factors[i]), 0)
    return op('Where', isZero[i], only, none)
  }
  return [
    op(
      'Mul',
      dY,
      slope(0, (value) => value),
    ),
    null,
    op('Mul', take(dY), slope(1, take)),
  ]
}

const byElement = (node: Node, ctx: RuleContext): Places => {
  const [data, indices] = node.inputs as [string, string]
  const axis = nodeAxis(node, 0, ctx.ranked(data).length)
  return {
    put: (into, updates, reduction) => ctx.b.op('ScatterElements', [into, indices, updates], { axis, reduction }),
    take: (value) => ctx.b.op('GatherElements', [value, indices], { axis }),
  }
}

const byRow = (node: Node, ctx: RuleContext): Places => {
  const indices = node.inputs[1]!
  return {
    put: (into, updates, reduction) => ctx.b.op('ScatterND', [into, indices, updates], { reduction }),
    take: (value) => ctx.b.op('GatherND', [value, indices]),
  }
}

/** Keys or values written into a cache along an axis: both come back from where they went. */
const tensorScatter: Rule = (node, ctx, [dY]) => {
  const [past, update, ...rest] = node.inputs as [string, string, ...string[]]
  const attributes = Object.fromEntries(node.attributes)
  return scatterAmong(ctx, [past, update], dY!, (p, u) => ctx.b.op('TensorScatter', [p, u, ...rest], attributes))
}

const reverseSequence: Rule = (node, ctx, [dY]) => [
  ctx.b.op('ReverseSequence', [dY!, node.inputs[1]!], Object.fromEntries(node.attributes)),
]

const compress: Rule = (node, ctx, [dY]) => [
  scatterThrough(ctx, node.inputs[0]!, dY!, (positions) =>
    ctx.b.op('Compress', [positions, node.inputs[1]!], Object.fromEntries(node.attributes)),
  ),
]

const centerCropPad: Rule = (node, ctx, [dY]) =>
  scatterAmong(ctx, [node.inputs[0]!], dY!, (positions) =>
    ctx.b.op('CenterCropPad', [positions, node.inputs[1]!], Object.fromEntries(node.attributes)),
  )

/** The indices say where in the output each element went. */
const maxUnpool: Rule = (node, ctx, [dY]) => {
  const [x, indices, shape] = node.inputs as [string, string, string?]
  // To ONNX they count in the shape before it was padded to the output shape, to ONNX Runtime 1.30 in the output shape.
  if (shape) return ctx.refuse('it has an output shape, which runtimes read in two ways; pad its output instead')
  const flat = ctx.b.op('Reshape', [dY!, ctx.b.ints([-1])])
  return [reshapeLike(ctx, ctx.b.op('Gather', [flat, indices], { axis: 0 }), x)]
}

/** The sum of patches at their places, so each element of a patch gets what lies there: a Gather by positions told from the shapes. */
const col2Im: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const x = node.inputs[0]!
  const [image, block] = [1, 2].map((i) => constantInts(ctx, node.inputs[i])) as [number[]?, number[]?]
  if (image === undefined || block === undefined) return ctx.refuse('its image or block shape is computed')
  const rank = image.length
  const [strides, dilations] = ['strides', 'dilations'].map((name) =>
    intsAttribute(node, name, new Array<number>(rank).fill(1)),
  ) as [readonly number[], readonly number[]]
  const pads = intsAttribute(node, 'pads', new Array<number>(2 * rank).fill(0))
  const padded = image.map((size, i) => size + pads[i]! + pads[i + rank]!)
  const steps = padded.map((size, i) => Math.floor((size - dilations[i]! * (block[i]! - 1) - 1) / strides[i]!) + 1)
  // All places of the patches' pixels, [pixel of the block, patch], row-major over the axes of both.
  const grid = (counts: readonly number[]): number[][] =>
    counts.reduce<number[][]>((all, count) => all.flatMap((at) => range(count).map((i) => [...at, i])), [[]])
  const places = grid(block).flatMap((tap) =>
    grid(steps).map((step) =>
      padded.reduce((at, size, i) => at * size + tap[i]! * dilations[i]! + step[i]! * strides[i]!, 0),
    ),
  )
  const wide = b.op('Pad', [dY!, b.ints([0, 0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank)]), ctx.scalar(0, x)])
  const rows = b.op('Reshape', [wide, b.ints([0, 0, -1])])
  return [reshapeLike(ctx, b.op('Gather', [rows, b.ints(places)], { axis: 2 }), x)]
}

export const scatter: RuleTable = {
  GatherElements: gatherElements,
  GatherND: gatherNd,
  TopK: topK,
  ScatterElements: scattered(byElement),
  ScatterND: scattered(byRow),
  TensorScatter: tensorScatter,
  ReverseSequence: reverseSequence,
  Compress: compress,
  CenterCropPad: centerCropPad,
  MaxUnpool: maxUnpool,
  Col2Im: col2Im,
}
