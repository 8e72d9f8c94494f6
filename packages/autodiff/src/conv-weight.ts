import { builder } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import { range } from './axes.js'
import { staticSizes } from './emit.js'
import type { RuleContext } from './rule.js'
import type { Window } from './window.js'

/** A convolution as its weight gradient sees it: names are backward or forward values, shapes those of the forward. */
export interface Correlation {
  /** What the kernel slid over, [N, Ci, …]. */
  readonly x: string
  /** The cotangent of what came out, [N, Co, …]. */
  readonly dY: string
  /** Ci/group and Co. */
  readonly channelsIn: number
  readonly channelsOut: number
  /** Sizes of the spatial axes of x, where known. */
  readonly sizes: readonly (number | undefined)[]
  /** The same of dY. */
  readonly steps: readonly (number | undefined)[]
  readonly window: Window
}

// From this many pairs of channels one Gemm per tap is faster than one big Conv (ONNX Runtime 1.30, CPU).
const MANY_PAIRS = 512
// Up to so many input channels all taps together are one Gemm: 0.78 to 0.88 of the time of one big Conv (1 → 6, 3 → 64, 6 → 16).
const FEW_CHANNELS = 8
// Rows up to this are cut out faster with the samples innermost: 0.75 (256 → 256, 4²) to 0.98 (128 → 128, 16²); 1.13 at 32².
const SHORT_ROW = 16

/**
 * dW[o, i, k] = Σₙ Σₛ x[n, i, stride·s + dilation·k − pad] · dY[n, o, s]: a correlation of x with dY, in which stride and
 * dilation have changed places. Three ways to say that in ONNX; which is fastest depends on the number of channels.
 */
export function convWeightGradient(ctx: RuleContext, correlation: Correlation): string {
  const { channelsIn, channelsOut, window, steps } = correlation
  if (steps.length !== window.rank)
    return ctx.refuse(`what it slides to has ${steps.length} spatial axes, its kernel ${window.rank}`)
  if (window.group === 1) {
    const sizes = staticSizes(steps.map((size) => size ?? '?'))
    if (sizes !== undefined && isPointwise(window) && paysByBatch(channelsIn, channelsOut, sizes))
      return productsOfSamples(ctx, correlation)
    if (sizes !== undefined && (channelsIn * channelsOut >= MANY_PAIRS || channelsIn <= FEW_CHANNELS))
      return tapByTap(ctx, correlation, sizes)
    if (window.rank < 3) return samplesAsDepth(ctx, correlation)
  }
  const isDepthwise = window.group > 1 && channelsIn === 1 && channelsOut === window.group && window.rank === 2
  const sizes = staticSizes(steps.map((size) => size ?? '?'))
  if (isDepthwise && sizes !== undefined) return sampleBySample(ctx, correlation, sizes)
  return samplesAsChannels(ctx, correlation)
}

/** A kernel of one element that visits every pixel once. */
function isPointwise({ kernel, strides, before, after }: Window): boolean {
  return kernel.every((size, i) => size === 1 && strides[i] === 1 && before[i] === 0 && after[i] === 0)
}

/**
 * A product for each sample moves its result, all channels at once moves x and dY. Measured beside tapByTap (32 samples, CPU): 0.48 (16 → 96,
 * 32²), 0.66 (96 → 24, 16²), 0.78 (192 → 32, 8²); and where this says no 1.7 (64 → 128, 8²), 2.3 (96 → 576, 4²), 7.5 (320 → 1280, 2²).
 */
function paysByBatch(channelsIn: number, channelsOut: number, sizes: readonly number[]): boolean {
  const pixels = sizes.reduce((product, size) => product * size, 1)
  return 2 * channelsIn * channelsOut <= (channelsIn + channelsOut) * pixels
}

/** dY[n]·x[n]ᵀ for each sample, added up; ONNX Runtime turns x inside the product. */
function productsOfSamples(ctx: RuleContext, { x, dY, channelsIn, channelsOut, window }: Correlation): string {
  const { b } = ctx
  const flat = (value: string, channels: number): string => b.op('Reshape', [value, b.ints([0, channels, -1])])
  const turned = b.op('Transpose', [flat(x, channelsIn)], { perm: [0, 2, 1] })
  const all = b.op('MatMul', [flat(dY, channelsOut), turned])
  const sum = b.op('ReduceSum', [all, b.ints([0])], { keepdims: 0 })
  return b.op('Reshape', [sum, b.ints([channelsOut, channelsIn, ...window.kernel])])
}

/**
 * Depthwise: each sample's dY is the filter of that sample, and the samples are added up. A Scan, so that the batch may be of any size;
 * as fast as all samples in one Conv, and its Conv is depthwise again, which the cpu lowering has a fast form for (decision 26).
 */
function sampleBySample(ctx: RuleContext, correlation: Correlation, steps: readonly number[]): string {
  const { b } = ctx
  const { x, dY, channelsOut, window } = correlation
  const { kernel, strides, dilations, before, after, group } = window
  const prefix = b.unique('sample')
  const inner = builder()
  const sizes = correlation.sizes.map((size, i) => size ?? `${prefix}/size ${i}`)
  const image = inner.input(`${prefix}/x`, 'float32', [channelsOut, ...sizes])
  const filters = inner.input(`${prefix}/dY`, 'float32', [channelsOut, ...steps])
  const attributes = { strides: dilations, dilations: strides, pads: [...before, ...after], group, kernel_shape: steps }
  const axis = (i: number): string =>
    inner.initializer(`${prefix}/axis ${i}`, tensor('int64', [1], BigInt64Array.of(BigInt(i))))
  const make = (op: string, inputs: readonly string[], given = {}): string =>
    inner.op(op, inputs, given, { outputs: [`${prefix}/${op} ${inputs[0]!.split('/').at(-1)}`] })
  const first = axis(0)
  const one = make('Conv', [make('Unsqueeze', [image, first]), make('Unsqueeze', [filters, axis(1)])], attributes)
  inner.output(make('Squeeze', [one, first]), 'float32')
  const all = b.op('Scan', [x, dY], { body: inner.graph(), num_scan_inputs: 2 })
  const dW = crop(ctx, b.op('ReduceSum', [all, b.ints([0])], { keepdims: 0 }), kernel, 1)
  return b.op('Reshape', [dW, b.ints([channelsOut, 1, ...kernel])])
}

/** One Gemm [Co, N·S]·[N·S, Ci] per tap of the kernel; of few channels one for all. */
function tapByTap(ctx: RuleContext, correlation: Correlation, steps: readonly number[]): string {
  const { b } = ctx
  const { x, dY, channelsIn, channelsOut, window } = correlation
  const { rank, kernel, strides, dilations, before, after } = window
  const spaces = range(rank).map((axis) => axis + 2)
  const isShort = steps.at(-1)! <= SHORT_ROW
  const channelsFirst = isShort ? [1, ...spaces, 0] : [1, 0, ...spaces]
  const around = (sizes: readonly number[]): number[] => (isShort ? [0, ...sizes, 0] : [0, 0, ...sizes])
  const axes = isShort ? spaces.map((axis) => axis - 1) : spaces
  const dRows = b.op('Reshape', [b.op('Transpose', [dY], { perm: channelsFirst }), b.ints([channelsOut, -1])])
  let image = b.op('Transpose', [x], { perm: channelsFirst })
  if ([...before, ...after].some((size) => size !== 0))
    image = b.op('Pad', [image, b.ints([...around(before), ...around(after)])])
  const rows = tapsOf(kernel).map((tap) => {
    const starts = tap.map((at, i) => at * dilations[i]!)
    const ends = starts.map((start, i) => start + (steps[i]! - 1) * strides[i]! + 1)
    const seen = b.op('Slice', [image, b.ints(starts), b.ints(ends), b.ints(axes), b.ints(strides)])
    return b.op('Reshape', [seen, b.ints([channelsIn, -1])])
  })
  const sizes = b.ints([channelsOut, channelsIn, ...kernel])
  const product = (right: string): string => b.op('Gemm', [dRows, right], { transB: 1 })
  if (rows.length === 1) return b.op('Reshape', [product(rows[0]!), sizes])
  if (channelsIn <= FEW_CHANNELS) {
    const all = b.op('Reshape', [product(b.op('Concat', rows, { axis: 0 })), b.ints([channelsOut, -1, channelsIn])])
    return b.op('Reshape', [b.op('Transpose', [all], { perm: [0, 2, 1] }), sizes])
  }
  const taps = rows.map((row) => b.op('Unsqueeze', [product(row), b.ints([2])]))
  return b.op('Reshape', [b.op('Concat', taps, { axis: 2 }), sizes])
}

/** Every position of the kernel, the last axis fastest. */
function tapsOf(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>((taps, size) => taps.flatMap((tap) => range(size).map((at) => [...tap, at])), [[]])
}

/** One Conv over [1, N, Ci, …] with dY as filters [Co, N, 1, …]: input channels are one more spatial axis, nothing of x moves. */
function samplesAsDepth(ctx: RuleContext, { x, dY, channelsIn, channelsOut, window }: Correlation): string {
  const { b } = ctx
  const { rank, kernel, strides, dilations, before, after } = window
  const axes = range(rank).map((axis) => axis + 2)
  const filters = b.op('Unsqueeze', [b.op('Transpose', [dY], { perm: [1, 0, ...axes] }), b.ints([2])])
  const image = b.op('Unsqueeze', [x, b.ints([0])])
  const dW = b.op('Conv', [image, filters], {
    strides: [1, ...dilations],
    dilations: [1, ...strides],
    pads: [0, ...before, 0, ...after],
  })
  return b.op('Reshape', [crop(ctx, dW, kernel, 3), b.ints([channelsOut, channelsIn, ...kernel])])
}

/** Any group and rank: x as [Ci/group, group·N, …], dY as filters [Co, N, …]; dW comes out as [Ci/group, Co, …]. */
function samplesAsChannels(ctx: RuleContext, { x, dY, channelsIn, window }: Correlation): string {
  const { b } = ctx
  const { rank, kernel, strides, dilations, before, after, group } = window
  const axes = range(rank).map((axis) => axis + 2)
  const image =
    group === 1 ? b.op('Transpose', [x], { perm: [1, 0, ...axes] }) : byGroup(ctx, x, channelsIn, group, axes)
  const filters = b.op('Transpose', [dY], { perm: [1, 0, ...axes] })
  const dW = b.op('Conv', [image, filters], {
    strides: dilations,
    dilations: strides,
    pads: [...before, ...after],
    group,
  })
  return b.op('Transpose', [crop(ctx, dW, kernel, 2)], { perm: [1, 0, ...axes] })
}

/** [N, group·C, …] to [C, group·N, …]. */
function byGroup(ctx: RuleContext, x: string, channels: number, group: number, axes: readonly number[]): string {
  const { b } = ctx
  // 0 in a Reshape keeps a size, so that the spatial axes may be open; the group axis is split off with the batch at the front.
  const front = b.op('Transpose', [x], { perm: [1, 0, ...axes] })
  const apart = b.op('Reshape', [
    front,
    b.op('Concat', [b.ints([group, channels]), b.op('Shape', [front], { start: 1 })], { axis: 0 }),
  ])
  const swapped = b.op('Transpose', [apart], { perm: [1, 0, 2, ...axes.map((axis) => axis + 1)] })
  return b.op('Reshape', [
    swapped,
    b.op('Concat', [b.ints([channels, -1]), b.op('Shape', [front], { start: 2 })], { axis: 0 }),
  ])
}

/** Rows of x behind the last full step give taps that the kernel does not have. */
function crop(ctx: RuleContext, dW: string, kernel: readonly number[], first: number): string {
  const { b } = ctx
  const axes = kernel.map((_, i) => i + first)
  return b.op('Slice', [dW, b.ints(kernel.map(() => 0)), b.ints(kernel), b.ints(axes)])
}
