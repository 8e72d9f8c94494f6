import { floatAttribute, intAttribute, type Node } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import { countOf, formulas } from '../emit.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'

// The lowest finite float32: after softmax as good as −∞, and rows of nothing else do not become NaN.
const LOWEST = -3.4028234663852886e38

/**
 * Attention of opsets 23 and 24 by its parts: Y = softmax(QKᵀ·scale + mask)·V, with heads in rows or apart, grouped heads, a
 * cache of keys and values, softcap, causal masks. Rows that are masked entirely give zeros, and gradients of zero.
 */
const attention: Rule = (node, ctx, cotangents) => {
  for (const side of ['left_window_size', 'right_window_size'])
    if (intAttribute(node, side, -1) >= 0) ctx.refuse(`its window (${side}) is not differentiated; mask by attn_mask`)
  return ctx.replay(cotangents, () => attend(node, ctx, cotangents))
}

function attend(
  node: Node,
  ctx: RuleContext,
  cotangents: readonly (string | undefined)[],
): readonly (string | undefined)[] {
  const { b } = ctx
  const [Q, K, V, , pastKey, pastValue] = node.inputs as [string, string, string, string?, string?, string?]
  const op = formulas(ctx, Q)
  const flat = ctx.ranked(Q).length === 3
  const heads = flat ? intAttribute(node, 'q_num_heads', undefined) : sizeOf(ctx, Q, 1)
  const groups = flat ? intAttribute(node, 'kv_num_heads', undefined) : sizeOf(ctx, K, 1)
  if (heads === undefined || groups === undefined) return ctx.refuse('its number of heads is not known')
  const apart = (value: string, count: number): string =>
    flat ? b.op('Transpose', [b.op('Reshape', [value, b.ints([0, 0, count, -1])])], { perm: [0, 2, 1, 3] }) : value
  const width = (value: string): number => sizeOf(ctx, value, flat ? 2 : 3) / (flat ? groups : 1)
  const cached = (past: string | undefined, value: string): string =>
    past ? b.op('Concat', [past, value], { axis: 2 }) : value
  const repeated = (value: string, size: number): string => {
    if (heads === groups) return value
    const wide = b.op('Expand', [b.op('Unsqueeze', [value, b.ints([2])]), b.ints([1, 1, heads / groups, 1, 1])])
    return b.op('Reshape', [wide, b.ints([0, heads, -1, size])])
  }
  const query = apart(Q, heads)
  const key = cached(pastKey, apart(K, groups))
  const value = cached(pastValue, apart(V, groups))
  const scale =
    floatAttribute(node, 'scale', undefined) ?? 1 / Math.sqrt(sizeOf(ctx, Q, flat ? 2 : 3) / (flat ? heads : 1))
  const turned = b.op('Transpose', [repeated(key, width(K))], { perm: [0, 1, 3, 2] })
  const raw = op('Mul', b.op('MatMul', [query, turned]), scale)
  const cap = floatAttribute(node, 'softcap', 0)
  const capped = cap > 0 ? op('Mul', op('Tanh', op('Div', raw, cap)), cap) : raw
  const bias = biasOf(node, ctx, flat)
  const allowed = bias && op('Greater', bias, Number.NEGATIVE_INFINITY)
  const biased = bias ? op('Add', capped, bias) : capped
  const soft = b.op('Softmax', [allowed ? op('Where', allowed, biased, LOWEST) : biased], { axis: -1 })
  const probability = allowed ? op('Where', allowed, soft, 0) : soft
  const heard = b.op('MatMul', [probability, repeated(value, width(V))])
  const y = flat ? b.op('Reshape', [b.op('Transpose', [heard], { perm: [0, 2, 1, 3] }), b.ints([0, 0, -1])]) : heard
  const inner = (): string => {
    const mode = intAttribute(node, 'qk_matmul_output_mode', 0)
    if (mode === 3) return probability
    if (mode === 2) return allowed ? op('Where', allowed, biased, Number.NEGATIVE_INFINITY) : biased
    return mode === 1 ? capped : raw
  }
  return [y, key, value, cotangents[3] === undefined ? undefined : inner()]
}

function sizeOf(ctx: RuleContext, value: string, axis: number): number {
  const size = ctx.ranked(value)[axis]
  return typeof size === 'number' ? size : ctx.refuse(`the size of axis ${axis} of "${value}" is not known`)
}

/** Everything that is added to the scores, −∞ where a key is out of sight; undefined where nothing is. */
function biasOf(node: Node, ctx: RuleContext, flat: boolean): string | undefined {
  const { b } = ctx
  const [Q, K, , mask, pastKey, , lengths] = node.inputs as [string, string, string, ...(string | undefined)[]]
  const op = formulas(ctx, Q)
  const line = flat ? 1 : 2
  const steps = vector(ctx, countOf(ctx, Q, [line]))
  const own = vector(ctx, countOf(ctx, K, [line]))
  const past = pastKey ? vector(ctx, countOf(ctx, pastKey, [2])) : undefined
  const keys = past === undefined ? own : b.op('Add', [past, own])
  const hidden = (seen: string): string => op('Where', seen, 0, Number.NEGATIVE_INFINITY)
  const parts: string[] = []
  if (mask) parts.push(maskBias(ctx, mask, keys, hidden))
  const scalar = (value: string): string => b.op('Squeeze', [value, b.ints([0])])
  const count = (to: string): string => b.op('Range', [scalar(b.ints([0])), scalar(to), scalar(b.ints([1]))])
  if (intAttribute(node, 'is_causal', 0) === 1) {
    // A query at i sees the keys up to i + the keys before its block.
    const before = lengths
      ? b.op('Reshape', [b.op('Sub', [lengths, steps]), b.ints([-1, 1, 1, 1])])
      : (past ?? b.ints([0]))
    const rows = b.op('Add', [b.op('Unsqueeze', [count(steps), b.ints([1])]), before])
    parts.push(hidden(b.op('LessOrEqual', [count(keys), rows])))
  }
  if (lengths) parts.push(hidden(b.op('Less', [count(keys), b.op('Reshape', [lengths, b.ints([-1, 1, 1, 1])])])))
  return parts.length === 0 ? undefined : parts.reduce((p, q) => b.op('Add', [p, q]))
}

/** attn_mask as numbers to add, as wide as there are keys. */
function maskBias(ctx: RuleContext, mask: string, keys: string, hidden: (seen: string) => string): string {
  const { b } = ctx
  const isBool = ctx.typeOf(mask) === 'bool'
  const bias = isBool ? hidden(mask) : mask
  const rank = ctx.ranked(mask).length
  const missing = b.op('Sub', [keys, vector(ctx, countOf(ctx, mask, [rank - 1]))])
  const pads = b.op('Concat', [b.ints(new Array<number>(2 * rank - 1).fill(0)), missing], { axis: 0 })
  const fill = isBool
    ? hidden(b.constant(tensor('bool', [], Uint8Array.of(0))))
    : ctx.scalar(Number.NEGATIVE_INFINITY, mask)
  return b.op('Pad', [bias, pads, fill])
}

function vector(ctx: RuleContext, count: number | string): string {
  return typeof count === 'number' ? ctx.b.ints([count]) : count
}

/** Pairs of features turned by an angle that grows with the position (Su et al. 2021), opset 23. */
const rotaryEmbedding: Rule = (node, ctx, cotangents) => ctx.replay(cotangents, () => [rotated(node, ctx)])

function rotated(node: Node, ctx: RuleContext): string {
  const { b } = ctx
  const [x, cos, sin, positions] = node.inputs as [string, string, string, string?]
  const flat = ctx.ranked(x).length === 3
  const heads = flat ? intAttribute(node, 'num_heads', 0) : sizeOf(ctx, x, 1)
  const size = flat ? sizeOf(ctx, x, 2) / heads : sizeOf(ctx, x, 3)
  const turned = intAttribute(node, 'rotary_embedding_dim', 0) || size
  const half = turned / 2
  // [N, position, head, feature]
  const rows = flat ? b.op('Reshape', [x, b.ints([0, 0, heads, size])]) : b.op('Transpose', [x], { perm: [0, 2, 1, 3] })
  const part = (value: string, from: number, to: number, step = 1): string =>
    b.op('Slice', [value, b.ints([from]), b.ints([to]), b.ints([3]), b.ints([step])])
  const cache = (table: string): string =>
    b.op('Unsqueeze', [positions ? b.op('Gather', [table, positions]) : table, b.ints([2])])
  const [c, s] = [cache(cos), cache(sin)]
  const mixed = intAttribute(node, 'interleaved', 0) === 1
  const first = mixed ? part(rows, 0, turned, 2) : part(rows, 0, half)
  const second = mixed ? part(rows, 1, turned, 2) : part(rows, half, turned)
  const real = b.op('Sub', [b.op('Mul', [c, first]), b.op('Mul', [s, second])])
  const imaginary = b.op('Add', [b.op('Mul', [s, first]), b.op('Mul', [c, second])])
  const pairs = (): string => {
    const last = b.ints([-1])
    const stacked = b.op('Concat', [b.op('Unsqueeze', [real, last]), b.op('Unsqueeze', [imaginary, last])], {
      axis: -1,
    })
    return b.op('Reshape', [stacked, b.ints([0, 0, heads, turned])])
  }
  const rest = turned < size ? [part(rows, turned, size)] : []
  const made = mixed ? [pairs(), ...rest] : [real, imaginary, ...rest]
  const whole = made.length === 1 ? made[0]! : b.op('Concat', made, { axis: 3 })
  return flat
    ? b.op('Reshape', [whole, b.ints([0, 0, heads * size])])
    : b.op('Transpose', [whole], { perm: [0, 2, 1, 3] })
}

export const attentions: RuleTable = { Attention: attention, RotaryEmbedding: rotaryEmbedding }
