import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from '@imago/kernels'
import { rng, type Tensor, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { codecFor } from '../../src/store/codec.js'
import { type Encoding, type EncodingOptions, encodingFor, payloadBytes } from '../../src/store/encoding.js'
import { fingerprintBytes } from '../../src/store/fingerprint.js'

/** A teacher's logits: normal, with a few that stand out as they do, and now and then a class without mass. */
function drawn(seed: number, rows: number, classes: number, nothing = 0): Tensor<'float32'> {
  const random = rng(seed)
  const data = Float32Array.from({ length: rows * classes }, () => {
    const z = 2 * random.normal() + (random.uniform() < 0.02 ? 8 * random.uniform() : 0)
    return random.uniform() < nothing ? Number.NEGATIVE_INFINITY : z
  })
  for (let r = 0; r < rows; r++) data[r * classes] = 3
  return tensor('float32', [rows, classes], data)
}

const sizes = fc.record({
  seed: fc.nat(),
  rows: fc.integer({ min: 1, max: 4 }),
  classes: fc.integer({ min: 1, max: 300 }),
  nothing: fc.constantFrom(0, 0, 0.3),
})

function through(encoding: EncodingOptions, classes: number, targets: TensorMap, rows: number): TensorMap {
  const made = encodingFor('test', encoding, classes)
  const codec = codecFor(made, classes)
  const ids = Uint32Array.from({ length: rows }, (_, i) => 100 + i)
  const bytes = codec.encode('test', targets, ids)
  expect(bytes.length).toBe(rows * payloadBytes(made, classes))
  return codec.decode('test', bytes.slice(), rows)
}

const halves = {
  float16: (z: number) => decodeFloat16(encodeFloat16(z)),
  bfloat16: (z: number) => decodeBfloat16(encodeBfloat16(z)),
  float32: (z: number) => z,
}
type Type = keyof typeof halves

/** ln of the buckets of a row at T, in float64: the classes, then all others. */
function buckets(row: readonly number[], chosen: readonly number[], temperature: number): number[] {
  const logSum = (values: readonly number[]): number => {
    const most = Math.max(...values)
    if (most === Number.NEGATIVE_INFINITY || values.length === 0) return Number.NEGATIVE_INFINITY
    return most + Math.log(values.reduce((sum, x) => sum + Math.exp(x - most), 0))
  }
  const scaled = row.map((z) => z / temperature)
  const all = logSum(scaled)
  const others = scaled.filter((_, c) => !chosen.includes(c))
  return [...chosen.map((c) => scaled[c]! - all), logSum(others) - all]
}

/** Σ p·(ln p − ln q). */
function kl(p: readonly number[], q: readonly number[]): number {
  return p.reduce((sum, x, i) => sum + (x === Number.NEGATIVE_INFINITY ? 0 : Math.exp(x) * (x - q[i]!)), 0)
}

/** ln of the buckets that a store tells: k values share what the tail leaves. */
function told(values: readonly number[], tail: number, temperature: number): number[] {
  const scaled = values.map((z) => z / temperature)
  const most = Math.max(...scaled)
  const sum = scaled.reduce((total, x) => total + Math.exp(x - most), 0)
  const known = Math.log(-Math.expm1(tail))
  return [...scaled.map((x) => x - most - Math.log(sum) + known), tail]
}

const rowsOf = (value: Tensor, r: number): number[] => {
  const width = value.data.length / value.dims[0]!
  return Array.from(value.data as Float32Array).slice(r * width, (r + 1) * width)
}

const decodedRow = (value: Tensor, r: number): number[] => {
  const decode = value.type === 'float16' ? decodeFloat16 : value.type === 'bfloat16' ? decodeBfloat16 : Number
  return rowsOf(value, r).map(decode)
}

const temperatures = [0.5, 1, 4, 20]

describe('full logits', () => {
  test.each(['float32', 'float16', 'bfloat16'] as const)('%s: every logit, rounded to nearest', (type) => {
    fc.assert(
      fc.property(sizes, ({ seed, rows, classes, nothing }) => {
        const logits = drawn(seed, rows, classes, nothing)
        const kept = through({ kind: 'full', type }, classes, { logits }, rows).logits!
        expect(kept.type).toBe(type)
        expect(kept.dims).toEqual([rows, classes])
        for (let r = 0; r < rows; r++) expect(decodedRow(kept, r)).toEqual(rowsOf(logits, r).map(halves[type]))
      }),
      { numRuns: 30 },
    )
  })

  test('what comes in half precision goes back as it was', () => {
    const bits = Uint16Array.from({ length: 0x7c00 }, (_, i) => i)
    const logits = tensor('float16', [2, bits.length / 2], bits)
    expect(through({ kind: 'full' }, bits.length / 2, { logits }, 2).logits!.data).toEqual(bits)
  })
})

describe('the k largest', () => {
  test('lossless: the values and classes of a full store, and the very (k + 1)-bucket distribution at every stored temperature', () => {
    fc.assert(
      fc.property(
        sizes,
        fc.integer({ min: 1, max: 300 }),
        fc.constantFrom<Type>('float32', 'float16', 'bfloat16'),
        ({ seed, rows, classes, nothing }, most, type) => {
          const k = Math.min(most, classes)
          const logits = drawn(seed, rows, classes, nothing)
          const full = through({ kind: 'full', type }, classes, { logits }, rows).logits!
          const kept = through({ kind: 'top-k', k, values: type, temperatures }, classes, { logits }, rows)
          expect(kept.values!.type).toBe(type)
          for (let r = 0; r < rows; r++) {
            const row = decodedRow(full, r)
            const chosen = rowsOf(kept.indices!, r)
            const values = decodedRow(kept.values!, r)
            expect(chosen).toEqual([...new Set(chosen)].sort((a, b) => a - b))
            expect(values).toEqual(chosen.map((c) => row[c]))
            expect([...values].sort((a, b) => b - a)).toEqual([...row].sort((a, b) => b - a).slice(0, k))
            for (const temperature of temperatures) {
              const tail = rowsOf(kept[`logTail@${temperature}`]!, r)[0]!
              const want = buckets(row, chosen, temperature)
              const got = told(values, tail, temperature)
              expect(Math.abs(kl(want, got))).toBeLessThanOrEqual(1e-10)
              for (const [i, x] of got.entries())
                expect(Math.abs(Math.exp(x) - Math.exp(want[i]!))).toBeLessThanOrEqual(2.4e-7)
              const last = want.at(-1)!
              if (last > -700) expect(Math.abs(tail - last)).toBeLessThanOrEqual(2.4e-7 * Math.max(1, -last))
              else expect(tail).toBeLessThan(-699)
            }
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('the tail keeps its digits where 1 − Σ p has none left', () => {
    const row = Float32Array.of(60, 0, 0, 0)
    const kept = through(
      { kind: 'top-k', k: 1, values: 'float32', temperatures: [1] },
      4,
      { logits: tensor('float32', [1, 4], row) },
      1,
    )
    expect((kept['logTail@1']!.data as Float64Array)[0]).toBeCloseTo(Math.log(3) - 60, 12)
    expect(1 - Math.exp(-Math.log1p(3 * Math.exp(-60)))).toBe(0)
  })

  test('compact: T²·KL(teacher ‖ store) is at most s²/8 + 8·10⁻⁸·T² at every temperature, s the step of the row', () => {
    fc.assert(
      fc.property(
        sizes,
        fc.integer({ min: 1, max: 300 }),
        fc.constantFrom(4, 6, 8, 12),
        ({ seed, rows, classes, nothing }, most, bits) => {
          const k = Math.min(most, classes)
          const logits = drawn(seed, rows, classes, nothing)
          const kept = through({ kind: 'compact', k, bits, temperatures }, classes, { logits }, rows)
          for (let r = 0; r < rows; r++) {
            const row = rowsOf(logits, r)
            const chosen = rowsOf(kept.indices!, r)
            const values = rowsOf(kept.values!, r)
            const finite = chosen.map((c) => row[c]!).filter(Number.isFinite)
            // The width is rounded up to a float16 number.
            const step = ((Math.max(...finite) - Math.min(...finite)) * (1 + 2 ** -10) + 2 ** -24) / (2 ** bits - 2)
            for (const temperature of temperatures) {
              const tail = rowsOf(kept[`logTail@${temperature}`]!, r)[0]!
              const p = buckets(row, chosen, temperature)
              const cost = temperature ** 2 * kl(p, told(values, tail, temperature))
              expect(cost).toBeLessThanOrEqual(step ** 2 / 8 + 8e-8 * temperature ** 2 + 1e-12)
              expect(cost).toBeGreaterThanOrEqual(-1e-9 * temperature ** 2)
            }
            for (const [i, c] of chosen.entries())
              if (row[c] === Number.NEGATIVE_INFINITY) expect(values[i]).toBe(Number.NEGATIVE_INFINITY)
              else expect(Math.abs(values[i]! - (row[c]! - Math.max(...finite)))).toBeLessThanOrEqual(step / 2 + 1e-6)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('what a teacher of k classes tells is kept as it says it', () => {
    const targets = tensorMap([
      ['indices', tensor('int32', [1, 3], Int32Array.of(7, 2, 900))],
      ['logProbabilities', tensor('float32', [1, 3], Float32Array.of(-0.5, -1.5, -3))],
    ])
    const kept = through({ kind: 'top-k', k: 3, values: 'float32', temperatures: [1] }, 1000, targets, 1)
    expect(rowsOf(kept.indices!, 0)).toEqual([2, 7, 900])
    expect(rowsOf(kept.values!, 0)).toEqual([-1.5, -0.5, -3])
    const left = 1 - Math.exp(-0.5) - Math.exp(-1.5) - Math.exp(-3)
    expect(rowsOf(kept['logTail@1']!, 0)[0]).toBeCloseTo(Math.log(left), 12)
  })
})

describe('bytes of a row', () => {
  const bytes = (encoding: EncodingOptions, classes: number): number =>
    fingerprintBytes(2) + payloadBytes(encodingFor('test', encoding, classes), classes)

  test('k = 128: lossless float16 ≤ 430 of 1,000 classes and ≤ 540 of 128,256; compact ≤ 300 of both', () => {
    for (const [classes, lossless] of [
      [1000, 430],
      [128_256, 540],
    ] as const) {
      expect(bytes({ kind: 'top-k', k: 128, temperatures: [1] }, classes)).toBeLessThanOrEqual(lossless)
      // A row's share of the checksums: 4 bytes for each 4 KiB.
      expect(bytes({ kind: 'compact', k: 128, temperatures: [1] }, classes) + 0.4).toBeLessThanOrEqual(300)
    }
    expect(bytes({ kind: 'top-k', k: 128, temperatures: [1, 2, 4, 8] }, 1000)).toBeLessThanOrEqual(430)
    expect((encodingFor('test', { kind: 'compact', k: 128, temperatures: [1] }, 1000) as { bits: number }).bits).toBe(8)
  })
})

describe('refused when they are written (the row named)', () => {
  const logits = (...data: number[]): TensorMap => ({
    logits: tensor('float32', [1, data.length], Float32Array.from(data)),
  })
  const topK = (
    indices: number[],
    values: number[],
    more: { [name: string]: Tensor } = { 'logTail@1': tensor('float64', [1], Float64Array.of(-1)) },
  ): TensorMap =>
    tensorMap([
      ['indices', tensor('int32', [1, indices.length], Int32Array.from(indices))],
      ['values', tensor('float32', [1, values.length], Float32Array.from(values))],
      ...Object.entries(more),
    ])
  const three: EncodingOptions = { kind: 'top-k', k: 3, values: 'float32', temperatures: [1] }
  const probable = (...values: number[]): TensorMap => {
    const { values: given, ...rest } = topK([0, 1, 2], values, {})
    return { ...rest, logProbabilities: given! }
  }
  const half = (bits: number): TensorMap => ({ logits: tensor('float16', [1, 2], Uint16Array.of(bits, 0)) })

  test.each<[string, EncodingOptions, number, TensorMap, string, RegExp]>([
    ['NaN', { kind: 'full' }, 3, logits(1, Number.NaN, 2), 'ERR_NUMERIC', /row 100 hold NaN/],
    ['+∞', { kind: 'full' }, 3, logits(1, Number.POSITIVE_INFINITY, 2), 'ERR_NUMERIC', /row 100 hold \+∞/],
    ['nothing but −∞', { kind: 'full' }, 1, logits(Number.NEGATIVE_INFINITY), 'ERR_NUMERIC', /row 100/],
    ['what float16 cannot hold', { kind: 'full' }, 2, logits(1, 70_000), 'ERR_NUMERIC', /70000.*65504.*bfloat16/],
    ['a NaN in half precision', { kind: 'full' }, 2, half(0x7e00), 'ERR_NUMERIC', /row 100 hold NaN/],
    ['a NaN in half precision, k kept', { ...three, k: 1 }, 2, half(0xfe01), 'ERR_NUMERIC', /row 100 hold NaN/],
    ['other classes', { kind: 'full' }, 4, logits(1, 2), 'ERR_SHAPE', /C=4/],
    ['a class twice', three, 9, topK([4, 2, 4], [3, 2, 1]), 'ERR_ARGUMENT', /different classes in row 100.*4 twice/],
    ['no class', three, 9, topK([4, 2, 9], [3, 2, 1]), 'ERR_ARGUMENT', /classes in \[0, 9\) \(row 100\)/],
    ['a negative class', three, 9, topK([4, 2, -1], [3, 2, 1]), 'ERR_ARGUMENT', /row 100/],
    ['unsorted', three, 9, topK([4, 2, 1], [3, 1, 2]), 'ERR_ARGUMENT', /descending order \(row 100\)/],
    ['another k', three, 9, topK([4, 2], [3, 2]), 'ERR_SHAPE', /indices/],
    ['a NaN among k', three, 9, topK([4, 2, 1], [3, 1, Number.NaN]), 'ERR_NUMERIC', /NaN in row 100/],
    ['mass above 1', three, 9, probable(-0.1, -0.2, -5), 'ERR_NUMERIC', /row 100 sum to 1\.7/],
    [
      'a tail above 1',
      three,
      9,
      topK([4, 2, 1], [3, 2, 1], { 'logTail@1': tensor('float64', [1], Float64Array.of(0.1)) }),
      'ERR_NUMERIC',
      /row 100/,
    ],
    ['no tail', three, 9, topK([4, 2, 1], [3, 2, 1], {}), 'ERR_NOT_FOUND', /logTail@1/],
  ])('%s', (_, encoding, classes, targets, code, message) => {
    expect(() => through(encoding, classes, targets, 1)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    )
  })

  test.each<[string, EncodingOptions, RegExp]>([
    ['k above the classes', { kind: 'top-k', k: 11, temperatures: [1] }, /k.*\[1, 10\]/],
    ['k = 0', { kind: 'top-k', k: 0, temperatures: [1] }, /encoding\.k/],
    ['no temperature', { kind: 'top-k', k: 3, temperatures: [] }, /temperatures/],
    ['T = 0', { kind: 'top-k', k: 3, temperatures: [0] }, /temperature/],
    ['bits', { kind: 'compact', k: 3, bits: 1, temperatures: [1] }, /bits/],
    ['a type', { kind: 'full', type: 'float64' as 'float32' }, /float32, float16 or bfloat16/],
    ['a kind', { kind: 'sparse' } as unknown as EncodingOptions, /full, top-k or compact/],
  ])('%s', (_, encoding, message) => {
    expect(() => encodingFor('test', encoding, 10)).toThrow(
      expect.objectContaining({ code: 'ERR_ARGUMENT', message: expect.stringMatching(message) }),
    )
  })
})

test('an encoding says itself whole', () => {
  const made: Encoding = encodingFor('test', { kind: 'top-k', k: 2, temperatures: [4, 1, 4] }, 3)
  expect(made).toEqual({ kind: 'top-k', k: 2, values: 'float16', temperatures: [1, 4] })
})
