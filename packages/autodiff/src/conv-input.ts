import { range } from './axes.js'
import type { RuleContext } from './rule.js'
import { spatial, type Window } from './window.js'

// Below this many input channels ConvTranspose is faster than a Conv with turned filters (ONNX Runtime 1.30, CPU).
const FEW_CHANNELS = 32

/** dX of Y = Conv(X, W): W [Co, Ci/group, …] slid back over dY. */
export function convInputGradient(
  ctx: RuleContext,
  x: string,
  y: string,
  W: string,
  dY: string,
  window: Window,
): string {
  const channels = ctx.ranked(W)[1]
  const { strides, group, kernel, dilations, before, after } = window
  const reach = kernel.map((size, i) => dilations[i]! * (size - 1))
  const dense = strides.every((stride) => stride === 1)
  const fits = reach.every((size, i) => size >= before[i]! && size >= after[i]!)
  // Of depthwise filters the turned ones take 0.53 to 0.78 of the time.
  const isDepthwise = group > 1 && channels === 1 && ctx.ranked(W)[0] === group
  const many = group === 1 && typeof channels === 'number' && channels > FEW_CHANNELS
  if (dense && fits && (many || isDepthwise)) return turnedFilters(ctx, W, dY, window, reach)
  return transposed(ctx, x, y, W, dY, window, reach)
}

/** Stride 1, one group or depthwise: a Conv of dY with the filters turned by 180° and, in one group, their channels swapped. */
function turnedFilters(ctx: RuleContext, W: string, dY: string, window: Window, reach: readonly number[]): string {
  const { b } = ctx
  const { rank, dilations, before, after, kernel, group } = window
  const axes = range(rank).map((axis) => axis + 2)
  const swapped = group > 1 ? W : b.op('Transpose', [W], { perm: [1, 0, ...axes] })
  const all = (value: number): string => b.ints(axes.map(() => value))
  const turned = kernel.every((size) => size === 1)
    ? swapped
    : b.op('Slice', [swapped, all(-1), all(-(2 ** 31)), b.ints(axes), all(-1)])
  const pads = [...reach.map((size, i) => size - before[i]!), ...reach.map((size, i) => size - after[i]!)]
  return b.op('Conv', [dY, turned], { kernel_shape: kernel, dilations, pads, group })
}

function transposed(
  ctx: RuleContext,
  x: string,
  y: string,
  W: string,
  dY: string,
  window: Window,
  reach: readonly number[],
): string {
  const { b } = ctx
  const { rank, kernel, strides, dilations, before, after, group } = window
  const sizes = spatial(ctx, x)
  const made = spatial(ctx, y)
  // What the last step of the stride did not reach comes back as zeros; where sizes are open, as many as there can be, then cut.
  const missing = strides.map((stride, i) => {
    const [size, steps] = [sizes[i], made[i]]
    if (stride === 1) return 0
    return size === undefined || steps === undefined
      ? stride - 1
      : size - ((steps - 1) * stride + reach[i]! + 1 - before[i]! - after[i]!)
  })
  const dX = b.op('ConvTranspose', [dY, W], {
    kernel_shape: kernel,
    strides,
    dilations,
    group,
    pads: [...before, ...after],
    ...(missing.some((size) => size !== 0) && { output_padding: missing }),
  })
  const open = range(rank).filter((i) => strides[i] !== 1 && (sizes[i] === undefined || made[i] === undefined))
  if (open.length === 0) return dX
  const axes = b.ints(open.map((i) => i + 2))
  const ends = b.op('Gather', [ctx.shapeOf(x), axes], { axis: 0 })
  return b.op('Slice', [dX, b.ints(open.map(() => 0)), ends, axes])
}
