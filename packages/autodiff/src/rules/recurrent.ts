import { intAttribute, type Node, stringAttribute } from '@imago/onnx'
import type { FloatType, Rule, RuleContext, RuleTable } from '../rule.js'
import { scanGradient } from '../scan.js'
import { cellOf, gatesOf, type RecurrentOp } from './cell.js'

/** What a direction gives back. */
interface Direction {
  readonly dX?: string | undefined
  readonly weights: readonly (string | undefined)[]
  readonly states: readonly string[]
}

/**
 * Backpropagation through time (Werbos 1990): the states are computed again step by step, then the gradient of one step runs from the
 * last to the first (two Scans a direction); what the weights get is one product over all steps at the end.
 */
function recurrentRule(op: RecurrentOp): Rule {
  return (node, ctx, cotangents) => {
    if (intAttribute(node, 'layout', 0) !== 0) return ctx.refuse('its batch comes first (layout 1); use layout 0')
    for (const name of ['activation_alpha', 'activation_beta'])
      if (node.attributes.has(name)) return ctx.refuse(`its activations have parameters (${name})`)
    const [, W] = node.inputs as [string, string]
    const [count] = ctx.ranked(W)
    if (count !== 1 && count !== 2) return ctx.refuse('its number of directions is not known')
    const kind = stringAttribute(node, 'direction', 'forward')
    const parts = Array.from({ length: count }, (_, i) =>
      direction(op, node, ctx, cotangents, i, i === 1 || kind === 'reverse'),
    )
    const join = (values: readonly (string | undefined)[]): string | undefined =>
      values.some((value) => value === undefined)
        ? undefined
        : count === 1
          ? values[0]
          : ctx.b.op('Concat', values as string[], { axis: 0 })
    const dX = parts.map((part) => part.dX)
    const weights = [0, 1, 2, 3].map((i) => join(parts.map((part) => part.weights[i])))
    const states = parts[0]!.states.map((_, i) => join(parts.map((part) => part.states[i])))
    return [
      ctx.needs(0) ? (count === 1 ? dX[0] : ctx.b.op('Add', dX as string[])) : undefined,
      ...weights.slice(0, 3),
      null,
      ...states,
      ...(op === 'LSTM' ? [weights[3]] : []),
    ].slice(0, node.inputs.length)
  }
}

function direction(
  op: RecurrentOp,
  node: Node,
  ctx: RuleContext,
  cotangents: readonly (string | undefined)[],
  index: number,
  isReverse: boolean,
): Direction {
  const { b } = ctx
  const [x, W, R, B, lengths] = node.inputs as [string, string, string, string?, string?]
  const stateInputs = op === 'LSTM' ? [5, 6] : [5]
  const type: FloatType = ctx.type(x)
  const gates = gatesOf(op)
  const [, , hidden] = ctx.ranked(R)
  const [, , features] = ctx.ranked(W)
  if (typeof hidden !== 'number' || typeof features !== 'number')
    return ctx.refuse('the sizes of its weights are not known')
  const own = (value: string): string => b.op('Gather', [value, scalar(ctx, index)], { axis: 0 })
  const zeroBias = (): string => b.op('Expand', [ctx.scalar(0, x), b.ints([2 * gates * hidden])])
  const [w, r, bias] = [own(W), own(R), B ? own(B) : zeroBias()]
  const half = (from: number, to: number): string => b.op('Slice', [bias, b.ints([from]), b.ints([to])])
  const inner = half(gates * hidden, 2 * gates * hidden)
  const cell = cellOf(op, {
    node,
    ctx,
    type,
    hidden,
    isMasked: Boolean(lengths),
    direction: index,
    names: { r, inner, peephole: op === 'LSTM' && node.inputs[7] ? own(node.inputs[7]) : undefined },
  })
  const rows = b.op('Reshape', [x, b.ints([-1, features])])
  const projected = b.op('Gemm', [rows, w, half(0, gates * hidden)], { transB: 1 })
  const sizes = ctx.shapeOf(x)
  const steps = b.op('Slice', [sizes, b.ints([0]), b.ints([1])])
  const batch = b.op('Slice', [sizes, b.ints([1]), b.ints([2])])
  const shaped = (value: string, width: number): string =>
    b.op('Reshape', [value, b.op('Concat', [steps, batch, b.ints([width])], { axis: 0 })])
  const everyStep = (width: number): string =>
    b.op('Expand', [ctx.scalar(0, x), b.op('Concat', [steps, batch, b.ints([width])], { axis: 0 })])
  const stateShape = b.op('Concat', [batch, b.ints([hidden])], { axis: 0 })
  const nothing = b.op('Expand', [ctx.scalar(0, x), stateShape])
  const stepValues = new Map([['p', shaped(projected, gates * hidden)]])
  if (cell.steps.includes('e')) {
    stepValues.set('e', everyStep(hidden))
  }
  if (lengths) stepValues.set('seen', seenOf(ctx, lengths, steps))
  const [dY, ...dLast] = cotangents
  const found = scanGradient(ctx, cell, {
    states: stateInputs.map((i) => (node.inputs[i] ? own(node.inputs[i]) : nothing)),
    steps: stepValues,
    dStates: stateInputs.map((_, i) => (dLast[i] === undefined ? nothing : own(dLast[i]))),
    dY: dY === undefined ? everyStep(hidden) : b.op('Gather', [dY, scalar(ctx, index)], { axis: 1 }),
    isReverse,
    type,
  })

  const flat = (value: string, width: number): string => b.op('Reshape', [value, b.ints([-1, width])])
  const dP = flat(found.steps.get('p')!, gates * hidden)
  const front = (value: string): string => b.op('Unsqueeze', [value, b.ints([0])])
  const over = (value: string): string => b.op('ReduceSum', [value, b.ints([0])], { keepdims: 0 })
  const before = flat(found.values.get('h')!, hidden)
  const { dR, dInner } = cell.recurrent(dP, found, before, flat)
  const peephole = cell.wrt.includes('peephole')
    ? b.op('ReduceSum', [found.steps.get('peephole')!, b.ints([0])], { keepdims: 0 })
    : undefined
  return {
    dX: ctx.needs(0) ? shaped(b.op('Gemm', [dP, w]), features) : undefined,
    weights: [
      ctx.needs(1) ? front(b.op('Gemm', [dP, rows], { transA: 1 })) : undefined,
      ctx.needs(2) ? front(dR) : undefined,
      B && ctx.needs(3) ? front(b.op('Concat', [over(dP), over(dInner)], { axis: 0 })) : undefined,
      peephole && front(peephole),
    ],
    states: found.states.map(front),
  }
}

function scalar(ctx: RuleContext, value: number): string {
  return ctx.b.op('Squeeze', [ctx.b.ints([value])])
}

/** [T, N, 1]: whether a step is one of its sequence. */
function seenOf({ b }: RuleContext, lengths: string, steps: string): string {
  const line = b.op('Range', [b.op('Squeeze', [b.ints([0])]), b.op('Squeeze', [steps]), b.op('Squeeze', [b.ints([1])])])
  const rows = b.op('Unsqueeze', [line, b.ints([1, 2])])
  return b.op('Less', [rows, b.op('Unsqueeze', [b.op('Cast', [lengths], { to: 7 }), b.ints([0, 2])])])
}

export const recurrent: RuleTable = {
  LSTM: recurrentRule('LSTM'),
  GRU: recurrentRule('GRU'),
  RNN: recurrentRule('RNN'),
}
