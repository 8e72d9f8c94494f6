import { intAttribute, type Node, stringAttribute, typeCode } from '@imago/onnx'
import { countOf, formulas, reshapeLike, staticSizes } from '../emit.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'

/** One neighbour along an axis: its position (a whole number, as float) and its weight. */
interface Neighbour {
  readonly at: string
  readonly weight?: string
}

type Op = ReturnType<typeof formulas>

/** Values of x [N, C, …space] read at the places of grid [N, …, D]: neighbours gathered and weighted, in the op's own terms. */
const gridSample: Rule = (node, ctx, cotangents) => ctx.replay(cotangents, () => [sampled(node, ctx)])

function sampled(node: Node, ctx: RuleContext): string {
  const { b } = ctx
  const [x, grid] = node.inputs as [string, string]
  const op = formulas(ctx, grid)
  const sizes = staticSizes(ctx.ranked(x).slice(2))
  if (sizes === undefined) return ctx.refuse('the sizes of the space that it reads from are open; fix them')
  const mode = stringAttribute(node, 'mode', 'linear').replace('bilinear', 'linear').replace('bicubic', 'cubic')
  if (!['linear', 'nearest', 'cubic'].includes(mode)) return ctx.refuse(`its mode "${mode}" is not known`)
  const padding = stringAttribute(node, 'padding_mode', 'zeros')
  const aligned = intAttribute(node, 'align_corners', 0) === 1
  // The last coordinate of the grid is the first axis of space.
  const parts = [
    ...b.ops('Split', [grid, b.ints(sizes.map(() => 1))], { axis: -1 }, { outputs: sizes.length }),
  ].reverse()
  const neighbours = sizes.map((size, i): Neighbour[] => {
    const g = b.op('Reshape', [parts[i]!, b.ints([0, 1, -1])])
    const along = op('Add', g, 1)
    const place = aligned ? op('Mul', along, (size - 1) / 2) : op('Mul', op('Sub', op('Mul', along, size), 1), 0.5)
    const inside = (value: string): string => padded(op, value, size, padding, aligned)
    if (mode === 'cubic') return cubic(op, place).map(({ at, weight }) => ({ at: inside(at), weight: weight! }))
    const u = inside(place)
    if (mode === 'nearest') return [{ at: op('Round', u) }]
    const low = op('Floor', u)
    const t = op('Sub', u, low)
    return [
      { at: low, weight: op('Sub', 1, t) },
      { at: op('Add', low, 1), weight: t },
    ]
  })
  const rows = b.op('Reshape', [x, b.ints([0, 0, -1])])
  const channels = countOf(ctx, x, [1])
  const wide = b.op(
    'Concat',
    [b.ints([1]), typeof channels === 'number' ? b.ints([channels]) : channels, b.ints([1])],
    {
      axis: 0,
    },
  )
  const terms = combinations(neighbours).map((corner) => {
    const weights = corner.flatMap(({ weight }) => (weight === undefined ? [] : [weight]))
    // A neighbour that lies outside is read at the edge and counts nothing.
    for (const [i, { at }] of corner.entries()) {
      const isInside = b.op('And', [op('GreaterOrEqual', at, 0), op('LessOrEqual', at, sizes[i]! - 1)])
      weights.push(b.op('Cast', [isInside], { to: typeCode(ctx.type(grid)) }))
    }
    const flat = corner
      .map(({ at }, i) => op('Max', op('Min', at, sizes[i]! - 1), 0))
      .reduce((sum, at, i) => op('Add', op('Mul', sum, sizes[i]!), at))
    const position = b.op('Expand', [b.op('Cast', [flat], { to: typeCode('int64') }), wide])
    const value = b.op('GatherElements', [rows, position], { axis: 2 })
    return op(
      'Mul',
      value,
      weights.reduce((p, q) => op('Mul', p, q)),
    )
  })
  return reshapeLike(ctx, terms.length === 1 ? terms[0]! : b.op('Sum', terms), node.outputs[0]!)
}

/** A coordinate brought inside by the padding mode; zeros leave it where it is. */
function padded(op: Op, value: string, size: number, padding: string, aligned: boolean): string {
  const clipped = (at: string): string => op('Min', op('Max', at, 0), size - 1)
  if (padding === 'border') return clipped(value)
  if (padding !== 'reflection') return value
  const [low, span] = aligned ? [0, size - 1] : [-0.5, size]
  if (span === 0) return op('Mul', value, 0)
  const away = op('Abs', op('Sub', value, low))
  const times = op('Floor', op('Div', away, span))
  const rest = op('Sub', away, op('Mul', times, span))
  const isOdd = op('Equal', op('Sub', times, op('Mul', op('Floor', op('Mul', times, 0.5)), 2)), 1)
  return clipped(op('Add', op('Where', isOdd, op('Sub', span, rest), rest), low))
}

/** Four neighbours with the weights of the cubic convolution of slope −0.75 (Keys 1981). */
function cubic(op: Op, place: string): { readonly at: string; readonly weight: string }[] {
  const A = -0.75
  const low = op('Floor', place)
  const t = op('Sub', place, low)
  const polynomial = (x: string, [first, ...rest]: readonly number[]): string => {
    let sum: string | number = first!
    for (const c of rest) sum = op('Add', op('Mul', x, sum), c)
    return sum as string
  }
  // ((A + 2)d − (A + 3))d² + 1 up to a distance of 1, then ((Ad − 5A)d + 8A)d − 4A
  const near = (d: string): string => polynomial(d, [A + 2, -(A + 3), 0, 1])
  const far = (d: string): string => polynomial(d, [A, -5 * A, 8 * A, -4 * A])
  return [
    { at: op('Sub', low, 1), weight: far(op('Add', t, 1)) },
    { at: low, weight: near(t) },
    { at: op('Add', low, 1), weight: near(op('Sub', 1, t)) },
    { at: op('Add', low, 2), weight: far(op('Sub', 2, t)) },
  ]
}

function combinations<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>((all, list) => all.flatMap((chosen) => list.map((item) => [...chosen, item])), [[]])
}

export const gridSampling: RuleTable = { GridSample: gridSample }
