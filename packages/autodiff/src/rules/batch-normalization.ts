import { floatAttribute, intAttribute, type Node } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import { range } from '../axes.js'
import { countAsFloat, formulas } from '../emit.js'
import type { Rule, RuleContext } from '../rule.js'

/**
 * y = γ·(x − μ)·r + β per channel, r = 1/√(σ² + ε). With g = Σ dY·(x − μ)·r and h = Σ dY over a channel of m elements:
 * dγ = g, dβ = h; frozen: dX = γ·r·dY; training: dX = γ·r·(dY − h/m − (x − μ)·r·g/m) (Ioffe & Szegedy 2015, §3).
 */
export const batchNormalization: Rule = (node, ctx, cotangents) => {
  const [x, gamma, beta, mean, variance] = node.inputs as [string, string, string, string, string]
  const [dY, ...others] = cotangents
  const op = formulas(ctx, x)
  const axes = range(ctx.ranked(x).length).filter((axis) => axis !== 1)
  const training = intAttribute(node, 'training_mode', 0) === 1
  const isPlain = floatAttribute(node, 'momentum', 0.9) === 0 && node.outputs[1] && node.outputs[2]
  if (training && (!isPlain || others.some((value) => value !== undefined) || ctx.needs(3) || ctx.needs(4)))
    return ctx.replay(cotangents, () => batchStatistics(node, ctx, axes))
  const mu = training ? node.outputs[1]! : mean
  const sigma2 = training ? node.outputs[2]! : variance
  const r = op('Reciprocal', op('Sqrt', op('Add', sigma2, floatAttribute(node, 'epsilon', 1e-5))))
  const perChannel = (value: string): string =>
    ctx.b.op('Reshape', [value, ctx.b.ints([-1, ...axes.slice(1).map(() => 1)])])
  const sum = (value: string): string => ctx.b.op('ReduceSum', [value, ctx.b.ints(axes)], { keepdims: 0 })

  const wanted = ctx.needs(1) || ctx.needs(4) || (training && ctx.needs(0))
  const centred = wanted ? op('Sub', x, perChannel(mu)) : ''
  const g = wanted ? op('Mul', sum(op('Mul', dY!, centred)), r) : ''
  const h = ctx.needs(2) || ctx.needs(3) || (training && ctx.needs(0)) ? sum(dY!) : ''
  const dX = (): string => {
    const scale = op('Mul', gamma, r)
    if (!training) return op('Mul', dY!, perChannel(scale))
    // A·dY + C and B·(x − μ), each one pass of an inference BatchNormalization with mean 0 and variance 1.
    const m = countAsFloat(ctx, x, axes)
    const B = op('Neg', op('Div', op('Mul', op('Mul', scale, r), g), m))
    const C = op('Neg', op('Div', op('Mul', scale, h), m))
    return op('Add', affine(ctx, dY!, scale, C, x), affine(ctx, centred, B, undefined, x))
  }
  return [
    ctx.needs(0) ? dX() : undefined,
    ctx.needs(1) ? g : undefined,
    beta && ctx.needs(2) ? h : undefined,
    ctx.needs(3) ? op('Neg', op('Mul', op('Mul', gamma, r), h)) : undefined,
    ctx.needs(4) ? op('Mul', op('Mul', op('Mul', gamma, op('Mul', r, r)), g), -0.5) : undefined,
  ]
}

/** Training mode with running statistics as outputs: momentum·old + (1 − momentum)·(mean or biased variance of the batch). */
function batchStatistics(node: Node, ctx: RuleContext, axes: readonly number[]): readonly string[] {
  const [x, gamma, beta, ...old] = node.inputs as [string, string, string, string, string]
  const op = formulas(ctx, x)
  const kept = 1 - floatAttribute(node, 'momentum', 0.9)
  const perChannel = (value: string): string =>
    ctx.b.op('Reshape', [value, ctx.b.ints([-1, ...axes.slice(1).map(() => 1)])])
  const count = countAsFloat(ctx, x, axes)
  const mean = (value: string): string =>
    op('Div', ctx.b.op('ReduceSum', [value, ctx.b.ints(axes)], { keepdims: 0 }), count)
  const mu = mean(x)
  const centred = op('Sub', x, perChannel(mu))
  const variance = mean(op('Mul', centred, centred))
  const scale = op('Div', gamma, op('Sqrt', op('Add', variance, floatAttribute(node, 'epsilon', 1e-5))))
  const y = op('Add', op('Mul', centred, perChannel(scale)), perChannel(beta))
  const running = [mu, variance].map((value, i) => op('Add', op('Mul', old[i]!, 1 - kept), op('Mul', value, kept)))
  return [y, ...running]
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
