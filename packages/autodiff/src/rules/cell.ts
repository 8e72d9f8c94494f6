import { type Builder, builder, floatAttribute, intAttribute, type Node } from '@imago/onnx'
import type { FloatType, RuleContext } from '../rule.js'
import type { Cell, ScanGradient } from '../scan.js'

export type RecurrentOp = 'LSTM' | 'GRU' | 'RNN'

/** How many gates there are side by side in the weights. */
export function gatesOf(op: RecurrentOp): number {
  return { LSTM: 4, GRU: 3, RNN: 1 }[op]
}

export interface CellOptions {
  readonly node: Node
  readonly ctx: RuleContext
  readonly type: FloatType
  readonly hidden: number
  /** Sequences have lengths: beyond them states stay and outputs are 0. */
  readonly isMasked: boolean
  readonly direction: number
  /** Values around: the recurrent weights [gates·H, H], the recurrent half of the bias [gates·H], the peepholes [3·H]. */
  readonly names: { readonly r: string; readonly inner: string; readonly peephole: string | undefined }
}

export interface RecurrentCell extends Cell {
  /** dR [gates·H, H], and what the recurrent bias gets, a row a step and sample. */
  readonly recurrent: (
    dP: string,
    found: ScanGradient,
    before: string,
    flat: (value: string, width: number) => string,
  ) => { readonly dR: string; readonly dInner: string }
}

/** One step: p is the input's share of the gates (W·x + its bias), h and c the states, seen whether the step counts. */
export function cellOf(op: RecurrentOp, options: CellOptions): RecurrentCell {
  const { ctx, type, hidden, isMasked, names } = options
  const gates = gatesOf(op)
  const b = builder()
  b.input('p', type, ['batch', gates * hidden])
  b.input('h', type, ['batch', hidden])
  if (op === 'LSTM') b.input('c', type, ['batch', hidden])
  if (isMasked) b.input('seen', 'bool', ['batch', 1])
  b.input('r', type, [gates * hidden, hidden])
  b.input('inner', type, [gates * hidden])
  const outer = new Map([
    ['r', names.r],
    ['inner', names.inner],
  ])
  if (names.peephole) {
    b.input('peephole', type, [3 * hidden])
    outer.set('peephole', names.peephole)
  }
  const made = { LSTM: lstm, GRU: gru, RNN: rnn }[op](b, options)
  const keep = (value: string, state: string): string => (isMasked ? b.op('Where', ['seen', value, state]) : value)
  const states = op === 'LSTM' ? ['h', 'c'] : ['h']
  const next = states.map((state, i) => keep(made.next[i]!, state))
  const y = isMasked ? b.op('Where', ['seen', made.next[0]!, b.scalar(0, type)]) : b.op('Identity', [next[0]!])
  for (const value of [...next, y]) b.output(value, type, ['batch', hidden])
  const steps = ['p', ...(made.hasE ? ['e'] : []), ...(isMasked ? ['seen'] : [])]
  const wrt = ['p', ...(made.hasE ? ['e'] : []), ...(names.peephole && ctx.needs(7) ? ['peephole'] : [])]
  return {
    ...{ graph: b.graph(), states, next, steps, y, outer, wrt },
    wanted: ['h', ...(made.gated ? [made.gated] : [])],
    recurrent(dP, found, before, flat) {
      const product = (left: string, right: string): string => ctx.b.op('Gemm', [left, right], { transA: 1 })
      if (op !== 'GRU') return { dR: product(dP, before), dInner: dP }
      const part = (value: string, from: number, to: number): string =>
        ctx.b.op('Slice', [value, ctx.b.ints([from * hidden]), ctx.b.ints([to * hidden]), ctx.b.ints([1])])
      if (made.hasE) {
        const dInner = ctx.b.op('Concat', [part(dP, 0, 2), flat(found.steps.get('e')!, hidden)], { axis: 1 })
        return { dR: product(dInner, before), dInner }
      }
      const gated = flat(found.values.get(made.gated!)!, hidden)
      const halves = [product(part(dP, 0, 2), before), product(part(dP, 2, 3), gated)]
      return { dR: ctx.b.op('Concat', halves, { axis: 0 }), dInner: dP }
    },
  }
}

interface Made {
  readonly next: readonly string[]
  /** An input e of zeros stands for what is added to the recurrent share of the candidate. */
  readonly hasE?: boolean
  /** What the candidate's recurrent weights are multiplied by, where it is not h. */
  readonly gated?: string
}

/** Gates in the order input, output, forget, cell (Hochreiter & Schmidhuber 1997; peepholes of Gers & Schmidhuber 2000). */
function lstm(b: Builder, options: CellOptions): Made {
  const { hidden, type, node, names } = options
  const [f, g, h] = activations(options, ['Sigmoid', 'Tanh', 'Tanh'])
  const share = b.op('Gemm', ['h', 'r', 'inner'], { transB: 1 })
  const [i, o, forget, c] = b.ops(
    'Split',
    [b.op('Add', ['p', share]), b.ints([0, 1, 2, 3].map(() => hidden))],
    { axis: 1 },
    { outputs: 4 },
  ) as [string, string, string, string]
  const [pi, po, pf] = names.peephole
    ? b.ops('Split', ['peephole', b.ints([hidden, hidden, hidden])], { axis: 0 }, { outputs: 3 })
    : []
  const peeped = (gate: string, weight: string | undefined, cell: string): string =>
    weight === undefined ? gate : b.op('Add', [gate, b.op('Mul', [weight, cell])])
  const clip = clipping(options)
  const input = f!(b, clip(b, peeped(i, pi, 'c')))
  const isCoupled = intAttribute(node, 'input_forget', 0) === 1
  const keeps = isCoupled ? b.op('Sub', [b.scalar(1, type), input]) : f!(b, clip(b, peeped(forget, pf, 'c')))
  const cell = b.op('Add', [b.op('Mul', [keeps, 'c']), b.op('Mul', [input, g!(b, clip(b, c))])])
  const output = f!(b, clip(b, peeped(o, po, cell)))
  return { next: [b.op('Mul', [output, h!(b, cell)]), cell] }
}

/** Gates in the order update, reset, candidate (Cho et al. 2014); the reset before the product, or after it. */
function gru(b: Builder, options: CellOptions): Made {
  const { hidden, type, node } = options
  const [f, g] = activations(options, ['Sigmoid', 'Tanh'])
  const clip = clipping(options)
  const cut = (value: string, from: number, to: number, axis: number): string =>
    b.op('Slice', [value, b.ints([from * hidden]), b.ints([to * hidden]), b.ints([axis])])
  const product = (from: string, low: number, high: number): string =>
    b.op('Gemm', [from, cut('r', low, high, 0), cut('inner', low, high, 0)], { transB: 1 })
  const gates = b.op('Add', [cut('p', 0, 2, 1), product('h', 0, 2)])
  const update = f!(b, clip(b, cut(gates, 0, 1, 1)))
  const reset = f!(b, clip(b, cut(gates, 1, 2, 1)))
  const isAfter = intAttribute(node, 'linear_before_reset', 0) !== 0
  if (isAfter) b.input('e', type, ['batch', hidden])
  const gated = isAfter ? undefined : b.op('Mul', [reset, 'h'])
  const share =
    gated === undefined ? b.op('Mul', [reset, b.op('Add', [product('h', 2, 3), 'e'])]) : product(gated, 2, 3)
  const candidate = g!(b, clip(b, b.op('Add', [cut('p', 2, 3, 1), share])))
  const kept = b.op('Mul', [update, 'h'])
  const h = b.op('Add', [b.op('Mul', [b.op('Sub', [b.scalar(1, type), update]), candidate]), kept])
  return { next: [h], hasE: isAfter, ...(gated !== undefined && { gated }) }
}

/** Elman 1990. */
function rnn(b: Builder, options: CellOptions): Made {
  const [f] = activations(options, ['Tanh'])
  const share = b.op('Gemm', ['h', 'r', 'inner'], { transB: 1 })
  return { next: [f!(b, clipping(options)(b, b.op('Add', ['p', share])))] }
}

type Activation = (b: Builder, value: string) => string

const known = ['Sigmoid', 'Tanh', 'Relu', 'Softsign', 'Softplus']

/** The functions of this direction: attributes list them direction after direction. */
function activations({ node, ctx, direction }: CellOptions, defaults: readonly string[]): Activation[] {
  const given = node.attributes.get('activations')
  const list = given?.kind === 'strings' ? given.value : [...defaults, ...defaults]
  const names = list.slice(direction * defaults.length, (direction + 1) * defaults.length)
  return names.map((name) => {
    const op = known.find((one) => one.toLowerCase() === name.toLowerCase())
    if (op === undefined) return ctx.refuse(`its activation ${name} is not differentiated in a recurrent op`)
    return (b, value) => b.op(op, [value])
  })
}

function clipping({ node, type }: CellOptions): Activation {
  const bound = floatAttribute(node, 'clip', 0)
  if (bound === 0) return (_b, value) => value
  return (b, value) => b.op('Clip', [value, b.scalar(-bound, type), b.scalar(bound, type)])
}
