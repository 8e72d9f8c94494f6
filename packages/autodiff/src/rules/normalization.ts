import { floatAttribute, intAttribute, intsAttribute } from '@imago/onnx'
import { axisOf, nodeAxis, range } from '../axes.js'
import { countAsFloat, formulas, reshapeLike, unbroadcast, zerosLike } from '../emit.js'
import type { Rule, RuleTable } from '../rule.js'
import { batchNormalization } from './batch-normalization.js'
import { dropout } from './dropout.js'

/**
 * y = γ·x̂ + β, x̂ = (x − μ)·r over the last axes: dX = r·(G − mean(G) − x̂·mean(G·x̂)), G = γ·dY (Ba et al. 2016).
 * Mean and deviation are computed again: cheaper than a wider forward, and there in float64 as well.
 */
const layerNormalization: Rule = (node, ctx, [given, dMean, dDeviation]) => {
  const { b } = ctx
  const [x, gamma, beta] = node.inputs as [string, string, string?]
  const op = formulas(ctx, x)
  const y = node.outputs[0]!
  const rank = ctx.ranked(x).length
  const axes = range(rank).slice(nodeAxis(node, -1, rank))
  const dY = given ?? zerosLike(ctx, y)
  // Not ReduceMean, whose axes moved from attribute to input in opset 18: this serves every opset.
  const count = countAsFloat(ctx, x, axes)
  const mean = (value: string): string => op('Div', b.op('ReduceSum', [value, b.ints(axes)], { keepdims: 1 }), count)
  const normalized = (): { readonly xHat: string; readonly r: string } => {
    const centred = op('Sub', x, mean(x))
    const variance = mean(op('Mul', centred, centred))
    const r = op('Reciprocal', op('Sqrt', op('Add', variance, floatAttribute(node, 'epsilon', 1e-5))))
    return { xHat: op('Mul', centred, r), r }
  }
  const dX = (xHat: string, r: string): string => {
    const G = op('Mul', dY, gamma)
    const along = op('Mul', xHat, mean(op('Mul', G, xHat)))
    let gradient = op('Mul', r, op('Sub', op('Sub', G, mean(G)), along))
    // The outputs Mean and InvStdDev: dμ/dx = 1/m, dr/dx = −r²·x̂/m
    if (dMean) gradient = op('Add', gradient, op('Div', dMean, count))
    if (dDeviation)
      gradient = op('Sub', gradient, op('Mul', xHat, op('Div', op('Mul', dDeviation, op('Mul', r, r)), count)))
    return gradient
  }
  const { xHat, r } = ctx.needs(0) || ctx.needs(1) ? normalized() : { xHat: '', r: '' }
  return [
    ctx.needs(0) ? dX(xHat, r) : undefined,
    ctx.needs(1) ? unbroadcast(ctx, op('Mul', dY, xHat), y, gamma) : undefined,
    beta && ctx.needs(2) ? unbroadcast(ctx, dY, y, beta) : undefined,
  ]
}

/** y = γ·x̂, x̂ = x·r, r = 1/√(mean(x²) + ε) over the last axes: dX = r·(G − x̂·mean(G·x̂)), G = γ·dY (Zhang & Sennrich 2019). */
const rmsNormalization: Rule = (node, ctx, [dY]) => {
  const [x, gamma] = node.inputs as [string, string]
  const op = formulas(ctx, x)
  const rank = ctx.ranked(x).length
  const axes = ctx.b.ints(range(rank).slice(nodeAxis(node, -1, rank)))
  const count = countAsFloat(ctx, x, range(rank).slice(nodeAxis(node, -1, rank)))
  const mean = (value: string): string => op('Div', ctx.b.op('ReduceSum', [value, axes], { keepdims: 1 }), count)
  const r = op('Reciprocal', op('Sqrt', op('Add', mean(op('Mul', x, x)), floatAttribute(node, 'epsilon', 1e-5))))
  const xHat = op('Mul', x, r)
  const dX = (): string => {
    const G = op('Mul', dY!, gamma)
    return op('Mul', r, op('Sub', G, op('Mul', xHat, mean(op('Mul', G, xHat)))))
  }
  return [
    ctx.needs(0) ? dX() : undefined,
    ctx.needs(1) ? unbroadcast(ctx, op('Mul', dY!, xHat), node.outputs[0]!, gamma) : undefined,
  ]
}

/** As LayerNormalization over each group of channels; γ and β per channel, in opset 18 per group (Wu & He 2018). */
const groupNormalization: Rule = (node, ctx, cotangents) => {
  const { b } = ctx
  const [x, gamma, beta] = node.inputs as [string, string, string]
  const op = formulas(ctx, x)
  const groups = intAttribute(node, 'num_groups', 1)
  const rank = ctx.ranked(x).length
  const [, channels] = ctx.ranked(x)
  const [scales] = ctx.ranked(gamma)
  if (typeof channels !== 'number' || typeof scales !== 'number')
    return ctx.refuse('its number of channels is not known')
  return ctx.replay(cotangents, () => {
    const count = op('Div', countAsFloat(ctx, x, range(rank).slice(1)), groups)
    const perGroup = scales === groups && scales !== channels
    const mean = (value: string): string => op('Div', b.op('ReduceSum', [value, b.ints([2])], { keepdims: 1 }), count)
    const rows = b.op('Reshape', [x, b.ints([0, groups, -1])])
    const centred = op('Sub', rows, mean(rows))
    const variance = mean(op('Mul', centred, centred))
    const xHat = op('Div', centred, op('Sqrt', op('Add', variance, floatAttribute(node, 'epsilon', 1e-5))))
    const along = b.ints([1, scales, ...(perGroup ? [1] : range(rank - 2).map(() => 1))])
    const affine = (value: string): string =>
      op('Add', op('Mul', value, b.op('Reshape', [gamma, along])), b.op('Reshape', [beta, along]))
    return [perGroup ? reshapeLike(ctx, affine(xHat), x) : affine(reshapeLike(ctx, xHat, x))]
  })
}

/**
 * y = x·S^(−β), S = bias + α/size·Σ x² over a window of channels (Krizhevsky et al. 2012, §3.3):
 * dX = dY·S^(−β) − 2αβ/size · x·Σ' dY·x·S^(−β−1), Σ' over the channels whose window holds this one.
 */
const localResponse: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const x = node.inputs[0]!
  const op = formulas(ctx, x)
  const [, channels] = ctx.ranked(x)
  if (typeof channels !== 'number') return ctx.refuse('its number of channels is not known')
  const rank = ctx.ranked(x).length
  const size = intAttribute(node, 'size', 1)
  const alpha = floatAttribute(node, 'alpha', 1e-4)
  const beta = floatAttribute(node, 'beta', 0.75)
  const before = Math.floor((size - 1) / 2)
  const windows = (value: string, left: number, right: number): string => {
    const pads = new Array<number>(2 * rank).fill(0)
    pads[1] = left
    pads[rank + 1] = right
    const padded = b.op('Pad', [value, b.ints(pads), ctx.scalar(0, x)])
    const taps = range(size).map((i) => b.op('Slice', [padded, b.ints([i]), b.ints([i + channels]), b.ints([1])]))
    return taps.length === 1 ? taps[0]! : b.op('Sum', taps)
  }
  const squares = windows(op('Mul', x, x), before, size - 1 - before)
  const S = op('Add', op('Mul', squares, alpha / size), floatAttribute(node, 'bias', 1))
  const scaled = op('Mul', dY!, op('Pow', S, -beta))
  const shares = windows(op('Div', op('Mul', scaled, x), S), size - 1 - before, before)
  return [op('Sub', scaled, op('Mul', op('Mul', x, shares), (2 * alpha * beta) / size))]
}

/** y = x/‖x‖ₚ along an axis; where the norm is 0 the output is 0 and nothing flows back. */
const lpNormalization: Rule = (node, ctx, [dY]) => {
  const x = node.inputs[0]!
  const y = node.outputs[0]!
  const op = formulas(ctx, x)
  const axes = ctx.b.ints([nodeAxis(node, -1, ctx.ranked(x).length)])
  const sum = (value: string): string => ctx.b.op('ReduceSum', [value, axes], { keepdims: 1 })
  const p = intAttribute(node, 'p', 2)
  const norm = p === 1 ? sum(op('Abs', x)) : op('Sqrt', sum(op('Mul', x, x)))
  const inverse = op('Where', op('Greater', norm, 0), op('Reciprocal', norm), 0)
  // dX = (dY − d‖x‖/dx · Σ dY·y) / ‖x‖
  const direction = p === 1 ? op('Where', op('Less', x, 0), -1, 1) : y
  return [op('Mul', inverse, op('Sub', dY!, op('Mul', direction, sum(op('Mul', dY!, y)))))]
}

/** y = (x − mean)/(standard deviation + 1e-9) over the axes (default: all but the channels). */
const meanVariance: Rule = (node, ctx, cotangents) => {
  const x = node.inputs[0]!
  const op = formulas(ctx, x)
  const rank = ctx.ranked(x).length
  const axes = intsAttribute(node, 'axes', [0, 2, 3]).map((axis) => axisOf(axis, rank))
  return ctx.replay(cotangents, () => {
    const count = countAsFloat(ctx, x, axes)
    const mean = (value: string): string =>
      op('Div', ctx.b.op('ReduceSum', [value, ctx.b.ints(axes)], { keepdims: 1 }), count)
    const centred = op('Sub', x, mean(x))
    return [op('Div', centred, op('Add', op('Sqrt', mean(op('Mul', centred, centred))), 1e-9))]
  })
}

/** As LayerNormalization, over each channel of each sample by itself; γ and β per channel (Ulyanov et al. 2016). */
const instanceNormalization: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, gamma] = node.inputs as [string, string, string]
  const op = formulas(ctx, x)
  const rank = ctx.ranked(x).length
  const axes = range(rank).slice(2)
  const count = countAsFloat(ctx, x, axes)
  const mean = (value: string): string => op('Div', b.op('ReduceSum', [value, b.ints(axes)], { keepdims: 1 }), count)
  const sum = (value: string): string => b.op('ReduceSum', [value, b.ints([0, ...axes])], { keepdims: 0 })
  const centred = op('Sub', x, mean(x))
  const variance = mean(op('Mul', centred, centred))
  const r = op('Reciprocal', op('Sqrt', op('Add', variance, floatAttribute(node, 'epsilon', 1e-5))))
  const xHat = op('Mul', centred, r)
  const dX = (): string => {
    const scale = op('Mul', r, b.op('Reshape', [gamma, b.ints([-1, ...axes.map(() => 1)])]))
    return op('Mul', scale, op('Sub', op('Sub', dY!, mean(dY!)), op('Mul', xHat, mean(op('Mul', dY!, xHat)))))
  }
  return [
    ctx.needs(0) ? dX() : undefined,
    ctx.needs(1) ? sum(op('Mul', dY!, xHat)) : undefined,
    ctx.needs(2) ? sum(dY!) : undefined,
  ]
}

export const normalization: RuleTable = {
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  RMSNormalization: rmsNormalization,
  GroupNormalization: groupNormalization,
  InstanceNormalization: instanceNormalization,
  MeanVarianceNormalization: meanVariance,
  LpNormalization: lpNormalization,
  LRN: localResponse,
  Dropout: dropout,
}
