import { ArgumentError, NumericError, rng, type Tensor, tensor, UnsupportedError } from '@imago/tensor'
import { afterAll, describe, expect, test } from 'vitest'
import { reportCuda } from '../../src/devices/cuda-report.js'
import * as kernels from '../../src/index.js'
import { type AnyTensor, isDeviceTensor, type KernelName } from '../../src/index.js'
import { normals } from '../../src/testing.js'
import { testDevice } from './emulated.js'

const device = testDevice()
const available = new Set(reportCuda().kernels ?? [])
const random = rng(11)
const [R, C] = [37, 129]
const matrix = (scale = 3): Tensor => tensor('float32', [R, C], normals(random, R * C, scale))
const labels = (): Tensor =>
  tensor(
    'int32',
    [R],
    Int32Array.from({ length: R }, (_, r) => (r % 7 === 0 ? -1 : r % C)),
  )
const weights = (): Tensor =>
  tensor(
    'float32',
    [R],
    Float32Array.from({ length: R }, (_, r) => (r % 5) / 4),
  )

type Arguments = { readonly [name: string]: unknown }
type Face = (options: never) => unknown

/** A face, its kernel, and a call of it; what it changes in place is looked at as well. */
const calls: readonly [KernelName, Face, () => Arguments][] = [
  ['softmax', kernels.softmax, () => ({ logits: matrix(), temperature: 2, log: true })],
  [
    'soft_target_loss',
    kernels.softTargetLoss,
    () => ({
      student: matrix(),
      teacher: matrix(),
      labels: labels(),
      rowWeights: weights(),
      temperature: 4,
      hardWeight: 0.25,
    }),
  ],
  [
    'soft_target_loss',
    kernels.softTargetLoss,
    () => ({ student: matrix(), teacher: matrix(), temperature: 1, out: matrix() }),
  ],
  ['cross_entropy', kernels.crossEntropy, () => ({ student: matrix(), labels: labels(), smoothing: 0.1 })],
  ['kl_divergence', kernels.klDivergence, () => ({ student: matrix(), teacher: matrix(), temperature: 3 })],
  ['reverse_kl', kernels.reverseKl, () => ({ student: matrix(), teacher: matrix() })],
  ['js_divergence', kernels.jsDivergence, () => ({ student: matrix(), teacher: matrix(), beta: 0.3 })],
  ['total_variation', kernels.totalVariation, () => ({ student: matrix(), teacher: matrix() })],
  ['logit_regression', kernels.logitRegression, () => ({ student: matrix(), teacher: matrix(), zeroMean: true })],
  ['top_k', kernels.topK, () => ({ logits: matrix(), k: 5 })],
  [
    'sgd',
    kernels.sgd,
    () => ({
      parameter: matrix(),
      gradient: matrix(),
      velocity: matrix(),
      rate: 0.1,
      momentum: 0.9,
      maxSquaredNorm: 200,
    }),
  ],
  [
    'adamw',
    kernels.adamw,
    () => ({ parameter: matrix(), gradient: matrix(), m: matrix(), v: squared(matrix()), rate: 0.01, step: 3 }),
  ],
  ['ema', kernels.ema, () => ({ average: matrix(), x: matrix(), decay: 0.9 })],
  ['covariance', kernels.covariance, () => ({ x: matrix(), rowWeights: weights() })],
  ['dkd', kernels.dkd, () => ({ student: matrix(), teacher: matrix(), labels: labels(), temperature: 4 })],
  ['dist', kernels.dist, () => ({ student: matrix(), teacher: matrix(), temperature: 2 })],
  ['squared_norm', kernels.squaredNorm, () => ({ x: matrix() })],
  ['dropout_mask', kernels.dropoutMask, () => ({ out: matrix(), probability: 0.3, rng: rng(5) })],
  ['dropout', kernels.dropout, () => ({ x: matrix(), probability: 0.3, rng: rng(5) })],
  ['gaussian_noise', kernels.gaussianNoise, () => ({ x: matrix(), sigma: 0.5, rng: rng(5) })],
  [
    'jitter',
    kernels.jitter,
    () => ({ images: tensor('float32', [6, 2, 5, 4], normals(random, 240)), shift: 2, rng: rng(5) }),
  ],
  ['convert_half', kernels.toBfloat16, () => ({ x: matrix() })],
]

function squared(x: Tensor): Tensor {
  return tensor(
    'float32',
    x.dims,
    (x.data as Float32Array).map((v) => v * v),
  )
}

const isTensor = (value: unknown): value is AnyTensor => typeof value === 'object' && value !== null && 'dims' in value

/** Everything that a call gives or changes, as numbers. */
async function told(options: Arguments, result: unknown): Promise<{ [name: string]: number[] }> {
  const found: { [name: string]: unknown } = { ...options }
  if (isTensor(result) || typeof result === 'number') found.result = result
  else
    Object.assign(found, Object.fromEntries(Object.entries(result ?? {}).map(([name, one]) => [`result.${name}`, one])))
  const numbers: { [name: string]: number[] } = {}
  for (const [name, value] of Object.entries(found)) {
    if (typeof value === 'number') numbers[name] = [value]
    if (!isTensor(value)) continue
    const here = isDeviceTensor(value) ? await value.read() : value
    expect(here.dims, name).toEqual(value.dims)
    numbers[name] = Array.from(here.data as Float32Array, Number)
  }
  return numbers
}

describe.skipIf(device === null)(`faces take device tensors: ${device?.name}`, () => {
  afterAll(() => device!.dispose())

  const present = calls.filter(([kernel]) => available.has(kernel))
  const absent = calls.filter(([kernel]) => !available.has(kernel))
  test('some kernels are there', () => expect(present.length).toBeGreaterThan(0))

  function uploaded(options: Arguments): Arguments {
    const entries = Object.entries(options).map(([name, value]) => [
      name,
      isTensor(value) ? device!.upload(value as Tensor<'float32'>) : value,
    ])
    return Object.fromEntries(entries)
  }
  function freed(...values: unknown[]): void {
    for (const value of values) if (isDeviceTensor(value)) value.dispose()
  }

  test.each(present)('%s: as on the host', async (_, face, make) => {
    const host = make()
    const there = uploaded(host)
    const wanted = await told(host, face({ ...host, backend: 'reference' } as never))
    // The generator moved on.
    const result = face({ ...there, ...(host.rng ? { rng: rng(5) } : {}) } as never)
    const got = await told(there, result)
    expect(Object.keys(got).sort()).toEqual(Object.keys(wanted).sort())
    for (const [name, numbers] of Object.entries(wanted)) {
      const unit = Math.max(1e-30, ...numbers.filter(Number.isFinite).map(Math.abs))
      const worst = Math.max(
        ...numbers.map((want, i) => (Object.is(want, got[name]![i]) ? 0 : Math.abs(want - got[name]![i]!))),
      )
      expect(worst / unit, name).toBeLessThanOrEqual(1e-5)
    }
    freed(...Object.values(there), result, ...(typeof result === 'object' ? Object.values(result as object) : []))
  })

  test.runIf(available.has('linear_soft_target_loss'))('linear_soft_target_loss: as on the host', async () => {
    const [N, D, K] = [9, 7, 33]
    const draw = (...dims: number[]) =>
      tensor(
        'float32',
        dims,
        normals(
          random,
          dims.reduce((a, b) => a * b),
        ),
      )
    const student = { hidden: draw(N, D), weight: draw(K, D), bias: draw(K) }
    const teacher = { hidden: draw(N, 5), weight: draw(K, 5) }
    const there = (head: { readonly [name: string]: Tensor<'float32'> }) =>
      Object.fromEntries(Object.entries(head).map(([name, one]) => [name, device!.upload(one)]))
    const want = kernels.linearSoftTargetLoss({ student, teacher, temperature: 2, backend: 'reference' })
    const heads = { student: there(student), teacher: there(teacher) }
    const got = kernels.linearSoftTargetLoss({
      ...(heads as never as { student: never; teacher: never }),
      temperature: 2,
    })
    const { value, gradients } = got as unknown as kernels.LinearSoftTargetLoss<kernels.DeviceTensor>
    expect((await value.read()).data[0]).toBeCloseTo(want.value, 5)
    for (const name of ['hidden', 'weight', 'bias'] as const) {
      const wanted = want.gradients[name]!.data
      const here = (await gradients[name]!.read()).data
      const unit = Math.max(...wanted.map(Math.abs))
      expect(Math.max(...wanted.map((x, i) => Math.abs(x - here[i]!))) / unit, name).toBeLessThanOrEqual(1e-5)
      gradients[name]!.dispose()
    }
    freed(value, got.soft, got.hard, ...Object.values(heads.student), ...Object.values(heads.teacher))
  })

  test.each(absent)('%s: what has no CUDA kernel says so', (_, face, make) => {
    const there = uploaded(make())
    expect(() => face(there as never)).toThrow(UnsupportedError)
    expect(() => face(there as never)).toThrow(/no CUDA kernel/)
    freed(...Object.values(there))
  })

  test.runIf(available.has('softmax'))('nothing is mixed: one tensor on the host is refused by its name', () => {
    using logits = device!.upload(matrix() as Tensor<'float32'>)
    expect(() => kernels.softmax({ logits, out: matrix() } as never)).toThrow(ArgumentError)
    expect(() => kernels.softmax({ logits, out: matrix() } as never)).toThrow(/"out".*device/)
    expect(() => kernels.softmax({ logits, out: logits.view(0, [R, C]) })).not.toThrow()
    using whole = device!.zeros('float32', [R * C + 1])
    expect(() => kernels.softmax({ logits: whole.view(0, [R, C]), out: whole.view(1, [R, C]) })).toThrow(/apart/)
  })

  test.runIf(available.has('cross_entropy'))('a row that is refused is found by who waits, and told once', async () => {
    const student = matrix()
    ;(student.data as Float32Array)[3 * C + 5] = Number.NaN
    ;(student.data as Float32Array)[9 * C] = Number.POSITIVE_INFINITY
    using there = device!.upload(student as Tensor<'float32'>)
    using classes = device!.upload(labels() as Tensor<'int32'>)
    const lost = kernels.crossEntropy({ student: there, labels: classes })
    await expect(device!.synchronize()).rejects.toThrow(NumericError)
    await expect(device!.synchronize()).resolves.toBeUndefined()
    const again = kernels.crossEntropy({ student: there, labels: classes })
    await expect(again.value.read()).rejects.toThrow(/cross_entropy: "student".*NaN in row 3/)
    await expect(again.value.read()).resolves.toBeDefined()
    using wrong = device!.upload(tensor('int32', [R], new Int32Array(R).fill(C)))
    using fine = device!.upload(matrix() as Tensor<'float32'>)
    const refused = kernels.crossEntropy({ student: fine, labels: wrong })
    await expect(device!.synchronize()).rejects.toThrow(ArgumentError)
    const graph = device!.capture(() => freedAll(kernels.crossEntropy({ student: there, labels: classes })))
    await expect(device!.synchronize()).resolves.toBeUndefined()
    graph.launch()
    await expect(device!.synchronize()).rejects.toThrow(/NaN in row 3/)
    graph.dispose()
    freedAll(lost)
    freedAll(again)
    freedAll(refused)
  })

  function freedAll(result: object): void {
    freed(...Object.values(result))
  }
})
