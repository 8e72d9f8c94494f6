import { typeCode } from '@imago/onnx'
import { mask, unbroadcast } from '../emit.js'
import type { Rule, RuleTable } from '../rule.js'

const add: Rule = (node, ctx, [dY]) =>
  node.inputs.map((input, i) => (ctx.needs(i) ? unbroadcast(ctx, dY!, node.outputs[0]!, input) : undefined))

const sub: Rule = (node, ctx, [dY]) => {
  const [p, q] = node.inputs as [string, string]
  const y = node.outputs[0]!
  return [
    ctx.needs(0) ? unbroadcast(ctx, dY!, y, p) : undefined,
    ctx.needs(1) ? ctx.b.op('Neg', [unbroadcast(ctx, dY!, y, q)]) : undefined,
  ]
}

const mul: Rule = (node, ctx, [dY]) => {
  const [p, q] = node.inputs as [string, string]
  const y = node.outputs[0]!
  return [
    ctx.needs(0) ? unbroadcast(ctx, ctx.b.op('Mul', [dY!, q]), y, p) : undefined,
    ctx.needs(1) ? unbroadcast(ctx, ctx.b.op('Mul', [dY!, p]), y, q) : undefined,
  ]
}

const div: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [p, q] = node.inputs as [string, string]
  const y = node.outputs[0]!
  const scaled = b.op('Div', [dY!, q])
  return [
    ctx.needs(0) ? unbroadcast(ctx, scaled, y, p) : undefined,
    // d(p/q)/dq = −y/q
    ctx.needs(1) ? b.op('Neg', [unbroadcast(ctx, b.op('Mul', [scaled, y]), y, q)]) : undefined,
  ]
}

/** Where several operands are the extreme one they share the cotangent. */
const extreme: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const y = node.outputs[0]!
  if (node.inputs.length === 1) return [dY]
  const hits = node.inputs.map((input) => mask(ctx, b.op('Equal', [input, y]), input))
  const share = b.op('Div', [dY!, b.op('Sum', hits)])
  return node.inputs.map((input, i) =>
    ctx.needs(i) ? unbroadcast(ctx, b.op('Mul', [share, hits[i]!]), y, input) : undefined,
  )
}

/** y = p − q·⌊p/q⌋, or with fmod p − q·trunc(p/q): the whole number of times is (p − y)/q. */
const mod: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [p, q] = node.inputs as [string, string]
  const y = node.outputs[0]!
  const times = (): string => b.op('Round', [b.op('Div', [b.op('Sub', [p, y]), q])])
  return [
    ctx.needs(0) ? unbroadcast(ctx, dY!, y, p) : undefined,
    ctx.needs(1) ? b.op('Neg', [unbroadcast(ctx, b.op('Mul', [dY!, times()]), y, q)]) : undefined,
  ]
}

const mean: Rule = (node, ctx, [dY]) => {
  const share = ctx.b.op('Div', [dY!, ctx.scalar(node.inputs.length, node.inputs[0]!)])
  return node.inputs.map((input, i) => (ctx.needs(i) ? unbroadcast(ctx, share, node.outputs[0]!, input) : undefined))
}

const pow: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, p] = node.inputs as [string, string]
  const y = node.outputs[0]!
  const exponent = ctx.constant(p)
  const single = exponent?.data.length === 1 ? Number(exponent.data[0]) : undefined
  const slope = (): string => {
    // p·x^(p−1); the two exponents of most networks (a square, a square root) need no Pow
    if (single === 2) return b.op('Mul', [x, ctx.scalar(2, x)])
    if (single === 0.5) return b.op('Div', [ctx.scalar(0.5, x), y])
    if (single !== undefined) return b.op('Mul', [b.op('Pow', [x, ctx.scalar(single - 1, x)]), ctx.scalar(single, x)])
    const power = b.op('Cast', [p], { to: typeCode(ctx.type(x)) })
    // Where p is 0 the slope is 0; x^(−1) would make it NaN at x = 0.
    const still = b.op('Equal', [power, ctx.scalar(0, x)])
    const below = b.op('Where', [still, ctx.scalar(1, x), b.op('Sub', [power, ctx.scalar(1, x)])])
    return b.op('Mul', [b.op('Pow', [x, below]), power])
  }
  const dX = (): string => {
    if (single === 0) return b.op('Mul', [dY!, ctx.scalar(0, x)])
    if (single === 1) return dY!
    return b.op('Mul', [dY!, slope()])
  }
  const dP = (): string => {
    const positive = b.op('Where', [b.op('Greater', [x, ctx.scalar(0, x)]), x, ctx.scalar(1, x)])
    const gradient = unbroadcast(ctx, b.op('Mul', [dY!, b.op('Mul', [y, b.op('Log', [positive])])]), y, p)
    return b.op('Cast', [gradient], { to: typeCode(ctx.type(p)) })
  }
  return [ctx.needs(0) ? unbroadcast(ctx, dX(), y, x) : undefined, ctx.needs(1) ? dP() : undefined]
}

const where: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [condition, p, q] = node.inputs as [string, string, string]
  const y = node.outputs[0]!
  const nought = ctx.scalar(0, y)
  return [
    undefined,
    ctx.needs(1) ? unbroadcast(ctx, b.op('Where', [condition, dY!, nought]), y, p) : undefined,
    ctx.needs(2) ? unbroadcast(ctx, b.op('Where', [condition, nought, dY!]), y, q) : undefined,
  ]
}

export const arithmetic: RuleTable = {
  Add: add,
  Sub: sub,
  Mul: mul,
  Div: div,
  Sum: add,
  Mean: mean,
  Max: extreme,
  Min: extreme,
  Mod: mod,
  Pow: pow,
  Where: where,
}
