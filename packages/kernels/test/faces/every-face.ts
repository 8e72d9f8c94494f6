import { rng, type Tensor, tensor, zeros } from '@imago/tensor'
import {
  adamw,
  covariance,
  crossEntropy,
  dist,
  dkd,
  dropout,
  dropoutMask,
  ema,
  fromBfloat16,
  fromFloat16,
  gaussianNoise,
  jitter,
  jsDivergence,
  type KernelName,
  klDivergence,
  linearSoftTargetLoss,
  logitRegression,
  nearestNeighbors,
  reverseKl,
  sgd,
  softmax,
  softTargetLoss,
  solveEq5,
  squaredNorm,
  toBfloat16,
  toFloat16,
  topK,
  topKSoftTargetLoss,
  totalVariation,
} from '../../src/index.js'

/** Options of a call, by name. */
export interface Options {
  [name: string]: unknown
}

/** A public function with options that it accepts: every tensor that it can be given. */
export interface Face {
  readonly kernel: KernelName
  make(): Options
  call(options: Options): unknown
}

export const f32 = (dims: number[], values: Iterable<number>): Tensor<'float32'> =>
  tensor('float32', dims, Float32Array.from(values))
export const i32 = (...values: number[]): Tensor<'int32'> => tensor('int32', [values.length], Int32Array.from(values))
export const student = (): Tensor<'float32'> => f32([2, 3], [1, 2, 3, 4, 5, 6])
export const teacher = (): Tensor<'float32'> => f32([2, 3], [3, 2, 1, 0, 1, 0])
const out = (): Tensor<'float32'> => zeros('float32', [2, 3])
const rowWeights = (): Tensor<'float32'> => f32([2], [1, 0.5])
const classMask = (): Tensor<'uint8'> => tensor('uint8', [3], Uint8Array.of(1, 1, 1))

/** Of each options object the function takes what `T` says; a test puts in what is wrong. */
function face<T>(kernel: KernelName, call: (options: T) => unknown, make: () => Options): Face {
  return { kernel, make, call: (options) => call(options as T) }
}

/** Every face by name. A kernel without one fails the contract test. */
export const faces: { readonly [name: string]: Face } = {
  softmax: face('softmax', softmax, () => ({ logits: student(), temperature: 2, out: out() })),
  softTargetLoss: face('soft_target_loss', softTargetLoss, () => ({
    student: student(),
    teacher: teacher(),
    labels: i32(0, 1),
    rowWeights: rowWeights(),
    classMask: classMask(),
    out: out(),
    temperature: 2,
    hardWeight: 0.5,
  })),
  linearSoftTargetLoss: face(
    'linear_soft_target_loss',
    ({ hidden, weight, bias, logits, outHidden, outWeight, outBias, ...others }: { [name: string]: never }) =>
      linearSoftTargetLoss({
        student: { hidden: hidden!, weight: weight!, bias },
        teacher: { logits: logits! },
        out: { hidden: outHidden, weight: outWeight, bias: outBias },
        ...(others as unknown as { temperature: number }),
      }),
    () => ({
      hidden: f32([2, 4], [1, 2, 3, 4, 5, 6, 7, 8]),
      weight: f32([3, 4], [1, 0, 0, 1, 0, 1, 0, 2, 0, 0, 1, 1]),
      bias: f32([3], [0, 1, 2]),
      logits: teacher(),
      labels: i32(0, 1),
      rowWeights: rowWeights(),
      outHidden: zeros('float32', [2, 4]),
      outWeight: zeros('float32', [3, 4]),
      outBias: zeros('float32', [3]),
      temperature: 2,
      hardWeight: 0.5,
    }),
  ),
  crossEntropy: face('cross_entropy', crossEntropy, () => ({
    student: student(),
    labels: i32(0, 1),
    rowWeights: rowWeights(),
    classMask: classMask(),
    out: out(),
  })),
  'crossEntropy with distributions': face('cross_entropy', crossEntropy, () => ({
    student: student(),
    distribution: f32([2, 3], [0.5, 0.25, 0.25, 0, 1, 0]),
    out: out(),
  })),
  klDivergence: face('kl_divergence', klDivergence, () => ({
    student: student(),
    teacher: teacher(),
    rowWeights: rowWeights(),
    classMask: classMask(),
    out: out(),
    temperature: 2,
  })),
  logitRegression: face('logit_regression', logitRegression, () => ({
    student: student(),
    teacher: teacher(),
    rowWeights: rowWeights(),
    out: out(),
  })),
  reverseKl: face('reverse_kl', reverseKl, () => ({ student: student(), teacher: teacher(), out: out() })),
  jsDivergence: face('js_divergence', jsDivergence, () => ({ student: student(), teacher: teacher(), out: out() })),
  totalVariation: face('total_variation', totalVariation, () => ({
    student: student(),
    teacher: teacher(),
    out: out(),
  })),
  dkd: face('dkd', dkd, () => ({
    student: student(),
    teacher: teacher(),
    labels: i32(0, 1),
    rowWeights: rowWeights(),
    classMask: classMask(),
    out: out(),
    temperature: 2,
  })),
  dist: face('dist', dist, () => ({
    student: student(),
    teacher: teacher(),
    rowWeights: rowWeights(),
    classMask: classMask(),
    out: out(),
  })),
  topKSoftTargetLoss: face(
    'top_k_soft_target_loss',
    ({ indices, values, logTail, ...others }: { [name: string]: never }) =>
      topKSoftTargetLoss({
        teacher: { indices: indices!, values: values!, logTail },
        ...(others as unknown as { student: Tensor; temperature: number }),
      }),
    () => ({
      student: student(),
      indices: tensor('int32', [2, 2], Int32Array.of(0, 2, 1, 0)),
      values: f32([2, 2], [1, 2, 3, 4]),
      logTail: tensor('float64', [2], Float64Array.of(-1, -2)),
      labels: i32(0, 1),
      rowWeights: rowWeights(),
      classMask: classMask(),
      out: out(),
      temperature: 2,
      hardWeight: 0.5,
    }),
  ),
  covariance: face(
    'covariance',
    ({ x, rowWeights, mean, comoment }: { [name: string]: never }) =>
      covariance({ x: x!, rowWeights, into: { count: 0, mean: mean!, comoment: comoment! } }),
    () => ({ x: student(), rowWeights: rowWeights(), mean: zeros('float64', [3]), comoment: zeros('float64', [3, 3]) }),
  ),
  sgd: face('sgd', sgd, () => ({
    parameter: student(),
    gradient: teacher(),
    velocity: out(),
    copy: zeros('bfloat16', [2, 3]),
    rate: 0.1,
  })),
  adamw: face('adamw', adamw, () => ({
    parameter: student(),
    gradient: teacher(),
    m: out(),
    v: out(),
    copy: zeros('bfloat16', [2, 3]),
    rate: 0.1,
    step: 1,
  })),
  ema: face('ema', ema, () => ({ average: student(), x: teacher(), decay: 0.9 })),
  squaredNorm: face('squared_norm', squaredNorm, () => ({ x: student() })),
  dropoutMask: face('dropout_mask', dropoutMask, () => ({ out: out(), probability: 0.5, rng: rng(1) })),
  dropout: face('dropout', dropout, () => ({ x: student(), out: out(), probability: 0.5, rng: rng(1) })),
  gaussianNoise: face('gaussian_noise', gaussianNoise, () => ({ x: student(), out: out(), sigma: 1, rng: rng(1) })),
  jitter: face('jitter', jitter, () => ({
    images: f32([1, 2, 3], [1, 2, 3, 4, 5, 6]),
    out: zeros('float32', [1, 2, 3]),
    shift: 1,
    rng: rng(1),
  })),
  toFloat16: face('convert_half', toFloat16, () => ({ x: student(), out: zeros('float16', [2, 3]) })),
  toBfloat16: face('convert_half', toBfloat16, () => ({ x: student(), out: zeros('bfloat16', [2, 3]) })),
  fromFloat16: face('convert_half', fromFloat16, () => ({ x: zeros('float16', [2, 3]), out: out() })),
  fromBfloat16: face('convert_half', fromBfloat16, () => ({ x: zeros('bfloat16', [2, 3]), out: out() })),
  nearestNeighbors: face('nearest_neighbors', nearestNeighbors, () => ({
    x: student(),
    codes: tensor('int32', [2, 2], Int32Array.of(0, 1, 2, 1)),
  })),
  solveEq5: face('solve_eq5', solveEq5, () => ({
    general: tensor('float32', [2, 3], Float32Array.of(0.5, 0.25, 0.25, 0.5, 0.25, 0.25)),
    experts: [],
    out: out(),
  })),
  topK: face('top_k', topK, () => ({ logits: student(), k: 2 })),
}

/** The names of the options that are tensors. */
export function tensorsOf(options: Options): string[] {
  return Object.keys(options).filter((name) => (options[name] as Tensor | undefined)?.data !== undefined)
}

/** The error of a call; a test without one fails. */
export function thrown(call: () => unknown): Error & { code?: string } {
  try {
    call()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}
