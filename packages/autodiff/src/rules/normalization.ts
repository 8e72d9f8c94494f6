import { floatAttribute, intAttribute } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import { nodeAxis, range } from '../axes.js'
import { countAsFloat, unbroadcast } from '../emit.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'

/** Backward nodes as formulas; numbers are constants of the type of `like`. */
function formulas(ctx: RuleContext, like: string): (op: string, ...operands: (string | number)[]) => string {
  return (name, ...operands) =>
    ctx.b.op(
      name,
      operands.map((operand) => (typeof operand === 'number' ? ctx.scalar(operand, like) : operand)),
    )
}

/**
 * y = γ·(x − μ)·r + β per channel, r = 1/√(σ² + ε). With g = Σ dY·(x − μ)·r and h = Σ dY over a channel of m elements:
 * dγ = g, dβ = h; frozen: dX = γ·r·dY; training: dX = γ·r·(dY − h/m − (x − μ)·r·g/m) (Ioffe & Szegedy 2015, §3).
 */
const batchNormalization: Rule = (node, ctx, [dY]) => {
  const [x, gamma, beta, mean, variance] = node.inputs as [string, string, string, string, string]
  const op = formulas(ctx, x)
  const axes = range(ctx.ranked(x).length).filter((axis) => axis !== 1)
  const training = intAttribute(node, 'training_mode', 0) === 1
  if (training && (floatAttribute(node, 'momentum', 0.9) !== 0 || !node.outputs[1] || !node.outputs[2]))
    return ctx.refuse(
      'its outputs are running statistics; take the graph through training(graph) first, which makes them the statistics of the batch',
    )
  if (ctx.needs(3) || ctx.needs(4))
    return ctx.refuse('its running statistics are not trained by gradients; leave them out of "wrt"')
  const mu = training ? node.outputs[1]! : mean
  const sigma2 = training ? node.outputs[2]! : variance
  const r = op('Reciprocal', op('Sqrt', op('Add', sigma2, floatAttribute(node, 'epsilon', 1e-5))))
  const perChannel = (value: string): string =>
    ctx.b.op('Reshape', [value, ctx.b.ints([-1, ...axes.slice(1).map(() => 1)])])
  const sum = (value: string): string => ctx.b.op('ReduceSum', [value, ctx.b.ints(axes)], { keepdims: 0 })

  const wanted = ctx.needs(1) || (training && ctx.needs(0))
  const centred = wanted ? op('Sub', x, perChannel(mu)) : ''
  const g = wanted ? op('Mul', sum(op('Mul', dY!, centred)), r) : ''
  const h = ctx.needs(2) || (training && ctx.needs(0)) ? sum(dY!) : ''
  const dX = (): string => {
    const scale = op('Mul', gamma, r)
    if (!training) return op('Mul', dY!, perChannel(scale))
    // A·dY + C and B·(x − μ), each one pass of an inference BatchNormalization with mean 0 and variance 1.
    const m = countAsFloat(ctx, x, axes)
    const B = op('Neg', op('Div', op('Mul', op('Mul', scale, r), g), m))
    const C = op('Neg', op('Div', op('Mul', scale, h), m))
    return op('Add', affine(ctx, dY!, scale, C, x), affine(ctx, centred, B, undefined, x))
  }
  return [ctx.needs(0) ? dX() : undefined, ctx.needs(1) ? g : undefined, beta && ctx.needs(2) ? h : undefined]
}

/** scale·value + shift, both per channel; no shift is 0. */
function affine(ctx: RuleContext, value: string, scale: string, shift: string | undefined, like: string): string {
  const [, channels] = ctx.ranked(like)
  if (typeof channels !== 'number') return ctx.refuse('its number of channels is not known')
  const [nought, one] = [0, 1].map((fill) => constantRow(ctx, like, channels, fill)) as [string, string]
  return ctx.b.op('BatchNormalization', [value, scale, shift ?? nought, nought, one], {
    epsilon: { kind: 'float', value: 0 },
  })
}

function constantRow(ctx: RuleContext, like: string, count: number, fill: number): string {
  return ctx.b.constant(
    ctx.type(like) === 'float64'
      ? tensor('float64', [count], new Float64Array(count).fill(fill))
      : tensor('float32', [count], new Float32Array(count).fill(fill)),
  )
}

/**
 * y = γ·x̂ + β, x̂ = (x − μ)·r over the last axes: dX = r·(G − mean(G) − x̂·mean(G·x̂)), G = γ·dY (Ba et al. 2016).
 * Mean and deviation are computed again: cheaper than a wider forward, and there in float64 as well.
 */
const layerNormalization: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, gamma, beta] = node.inputs as [string, string, string?]
  const op = formulas(ctx, x)
  const y = node.outputs[0]!
  const rank = ctx.ranked(x).length
  const axes = range(rank).slice(nodeAxis(node, -1, rank))
  if (node.outputs[1] || node.outputs[2])
    ctx.refuse('its outputs Mean and InvStdDev are used; compute them by ReduceMean instead')
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
    const G = op('Mul', dY!, gamma)
    const along = op('Mul', xHat, mean(op('Mul', G, xHat)))
    return op('Mul', r, op('Sub', op('Sub', G, mean(G)), along))
  }
  const { xHat, r } = ctx.needs(0) || ctx.needs(1) ? normalized() : { xHat: '', r: '' }
  return [
    ctx.needs(0) ? dX(xHat, r) : undefined,
    ctx.needs(1) ? unbroadcast(ctx, op('Mul', dY!, xHat), y, gamma) : undefined,
    beta && ctx.needs(2) ? unbroadcast(ctx, dY!, y, beta) : undefined,
  ]
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

/** At inference Dropout passes everything; in training mode the mask would be ONNX Runtime's own. */
const dropout: Rule = (node, ctx, [dY]) => {
  const flag = node.inputs[2]
  if (flag && Number(ctx.constant(flag)?.data[0] ?? 1) !== 0)
    return ctx.refuse('it draws its own mask; take the graph through training(graph) first, which feeds the mask')
  return [dY]
}

export const normalization: RuleTable = {
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  InstanceNormalization: instanceNormalization,
  Dropout: dropout,
}
