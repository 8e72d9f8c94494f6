import { readFileSync } from 'node:fs'
import { ArgumentError, NumericError, ShapeError, type Tensor, tensor, zeros } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backends, type LinearSoftTargetLossOptions, linearSoftTargetLoss, softTargetLoss } from '../../src/index.js'
import { drawFor, normals } from '../../src/testing.js'

/** A record of the golden file; the fields are those that golden/make_linear.py writes. */
// biome-ignore lint/suspicious/noExplicitAny: JSON
type Golden = any

const golden: { cases: Golden[] } = JSON.parse(readFileSync(new URL('../golden/linear.json', import.meta.url), 'utf8'))

const f32 = (dims: number[], values: Iterable<number>) => tensor('float32', dims, Float32Array.from(values))
const i32 = (values: Iterable<number>) => {
  const data = Int32Array.from(values)
  return tensor('int32', [data.length], data)
}

function expectClose(got: ArrayLike<number>, want: ArrayLike<number>, relative: number): void {
  let scale = 1e-30
  for (let i = 0; i < want.length; i++) scale = Math.max(scale, Math.abs(want[i]!))
  expect(got.length).toBe(want.length)
  for (let i = 0; i < want.length; i++) expect(Math.abs(got[i]! - want[i]!) / scale).toBeLessThan(relative)
}

/** A batch with logits small enough that float32 keeps five digits of everything. */
function options(name: string, rows: number, classes: number, depth: number): LinearSoftTargetLossOptions {
  const random = drawFor(name)
  return {
    student: {
      hidden: f32([rows, depth], normals(random, rows * depth)),
      weight: f32([classes, depth], normals(random, classes * depth, 1 / Math.sqrt(depth))),
      bias: f32([classes], normals(random, classes)),
    },
    teacher: { logits: f32([rows, classes], normals(random, rows * classes)) },
    labels: i32(Array.from({ length: rows }, () => random.integer(classes + 1) - 1)),
    rowWeights: f32(
      [rows],
      Array.from({ length: rows }, () => random.integer(3) * random.uniform()),
    ),
    temperature: 2,
    hardWeight: 0.25,
  }
}

const sizes = fc.tuple(
  fc.integer({ min: 1, max: 20 }),
  fc.integer({ min: 1, max: 40 }),
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 1, max: 45 }),
)

describe.each(backends().filter(({ available }) => available))('linearSoftTargetLoss on $name', ({ name: backend }) => {
  const relative = backend === 'reference' ? 1e-7 : 1e-5

  test.each(golden.cases)('against PyTorch: $rows x $classes x $depth, T=$temperature', (g: Golden) => {
    const { rows: N, classes: C, depth: D, teacherDepth: E, teacher } = g
    for (const chunkRows of [undefined, 1, 4]) {
      const { value, soft, hard, gradients } = linearSoftTargetLoss({
        student: {
          hidden: f32([N, D], g.hidden),
          weight: f32([C, D], g.weight),
          bias: g.bias ? f32([C], g.bias) : undefined,
        },
        teacher: teacher.logits
          ? { logits: f32([N, C], teacher.logits) }
          : { hidden: f32([N, E], teacher.hidden), weight: f32([C, E], teacher.weight), bias: f32([C], teacher.bias) },
        labels: i32(g.labels),
        rowWeights: f32([N], g.rowWeights),
        temperature: g.temperature,
        hardWeight: g.hardWeight,
        chunkRows,
        backend,
      })
      expectClose([value], [g.value], relative)
      expectClose([soft], [g.soft], relative)
      expectClose([hard], [g.hard], relative)
      expect(Object.keys(gradients)).toEqual(Object.keys(g.gradients))
      for (const name of ['hidden', 'weight', 'bias'] as const)
        if (g.gradients[name]) expectClose(gradients[name]!.data, g.gradients[name], relative)
    }
  })

  test('it is softTargetLoss after a linear layer, whatever the sizes and the chunks', () => {
    fc.assert(
      fc.property(sizes, fc.string(), ([rows, classes, depth, chunkRows], name) => {
        const given = options(name, rows, classes, depth)
        const { student, teacher, labels, rowWeights, temperature, hardWeight } = given
        const [h, W, b] = [student.hidden.data, student.weight.data, student.bias!.data] as Float32Array[]
        const z = new Float32Array(rows * classes)
        for (let r = 0; r < rows; r++)
          for (let c = 0; c < classes; c++) {
            let sum = b![c]!
            for (let d = 0; d < depth; d++) sum += h![r * depth + d]! * W![c * depth + d]!
            z[r * classes + c] = sum
          }
        const { logits } = teacher as { logits: Tensor }
        const whole = softTargetLoss({
          ...{ student: f32([rows, classes], z), teacher: logits, labels, rowWeights, temperature, hardWeight },
          backend: 'reference',
        })
        const g = whole.gradient.data
        const dHidden = new Float64Array(rows * depth)
        const dWeight = new Float64Array(classes * depth)
        const dBias = new Float64Array(classes)
        for (let r = 0; r < rows; r++)
          for (let c = 0; c < classes; c++) {
            dBias[c]! += g[r * classes + c]!
            for (let d = 0; d < depth; d++) {
              dHidden[r * depth + d]! += g[r * classes + c]! * W![c * depth + d]!
              dWeight[c * depth + d]! += g[r * classes + c]! * h![r * depth + d]!
            }
          }
        const chunked = linearSoftTargetLoss({ ...given, chunkRows, backend })
        // A value near 0 is the rounding of its logits.
        expect(Math.abs(chunked.value - whole.value)).toBeLessThan(2e-5 * (1 + whole.value))
        for (const [name, want] of [
          ['hidden', dHidden],
          ['weight', dWeight],
          ['bias', dBias],
        ] as const) {
          const got = chunked.gradients[name]!.data
          for (let i = 0; i < want.length; i++) expect(Math.abs(got[i]! - want[i]!)).toBeLessThan(2e-5)
        }
      }),
      { numRuns: 30 },
    )
  })

  test('gradients that nobody asks for are not there; what has a place is written there', () => {
    const given = { ...options('asked', 6, 9, 5), backend }
    const all = linearSoftTargetLoss(given).gradients
    expect(Object.keys(all)).toEqual(['hidden', 'weight', 'bias'])
    const one = linearSoftTargetLoss({ ...given, gradients: ['weight'] }).gradients
    expect(Object.keys(one)).toEqual(['weight'])
    expect(one.weight!.data).toEqual(all.weight!.data)
    expect(linearSoftTargetLoss({ ...given, gradients: [] }).gradients).toEqual({})
    const without = { ...given, student: { ...given.student, bias: undefined } }
    expect(Object.keys(linearSoftTargetLoss(without).gradients)).toEqual(['hidden', 'weight'])

    const out = { hidden: given.student.hidden, weight: zeros('float32', [9, 5]) }
    const placed = linearSoftTargetLoss({ ...given, out }).gradients
    expect(placed.hidden!.data).toBe(out.hidden.data)
    expect(placed.weight!.data).toBe(out.weight.data)
    expect(placed.hidden!.data).toEqual(all.hidden!.data)
    expect(placed.weight!.data).toEqual(all.weight!.data)
  })

  test('a row that is left out is not read and has the gradient 0', () => {
    const given = options('left out', 5, 7, 4)
    const { student } = given
    const hidden = f32([5, 4], student.hidden.data as Float32Array)
    hidden.data.fill(Number.NaN, 4, 8)
    const rowWeights = f32([5], [1, 0, 1, 2, 1])
    const { value, gradients } = linearSoftTargetLoss({
      ...given,
      student: { ...student, hidden },
      rowWeights,
      backend,
    })
    expect(value).toBeGreaterThan(0)
    expect([...gradients.hidden!.data.slice(4, 8)]).toEqual([0, 0, 0, 0])
    for (const name of ['hidden', 'weight', 'bias'] as const)
      expect(gradients[name]!.data.every(Number.isFinite)).toBe(true)
  })

  test.each<[string, RegExp, new (...a: never[]) => Error, (o: LinearSoftTargetLossOptions) => object]>([
    [
      'no teacher',
      /"teacher" must be \{ logits \} or \{ hidden, weight, bias\? \}/,
      ArgumentError,
      () => ({ teacher: {} }),
    ],
    [
      'two teachers',
      /"teacher" must be \{ logits \} or/,
      ArgumentError,
      ({ student, teacher }) => ({ teacher: { ...student, ...teacher } }),
    ],
    [
      "a teacher's head without its weight",
      /"teacher" must be/,
      ArgumentError,
      ({ student: { hidden } }) => ({ teacher: { hidden } }),
    ],
    [
      'other classes',
      /"teacher.logits" must be \[N=5, C=7\], got \[5, 8\]/,
      ShapeError,
      () => ({ teacher: { logits: zeros('float32', [5, 8]) } }),
    ],
    [
      'weights of another type',
      /"student.weight" must be of student.hidden's type, float32, got float16/,
      ShapeError,
      ({ student }) => ({ student: { ...student, weight: zeros('float16', [7, 4]) } }),
    ],
    [
      'no depth',
      /"student.hidden" must be \[N, D\] with D > 0/,
      ShapeError,
      () => ({ student: { hidden: zeros('float32', [5, 0]), weight: zeros('float32', [7, 0]) } }),
    ],
    ['T = 0', /temperature/, ArgumentError, () => ({ temperature: 0 })],
    [
      'a mask without classes',
      /"classMask" must be at least one class that is not 0/,
      ArgumentError,
      () => ({ classMask: zeros('uint8', [7]) }),
    ],
    [
      'a label of a masked class',
      /"labels" must be a class, −1 or ignoreIndex .*row 1/,
      ArgumentError,
      () => ({
        classMask: tensor('uint8', [7], Uint8Array.of(1, 1, 1, 0, 1, 1, 1)),
        labels: i32([0, 3, 2, 1, 1]),
        rowWeights: undefined,
      }),
    ],
    ['chunkRows 0', /"chunkRows" must be a whole number in \[1/, ArgumentError, () => ({ chunkRows: 0 })],
    ['an unknown gradient', /"gradients" must be of hidden, weight, bias/, ArgumentError, () => ({ gradients: ['w'] })],
    ['no labels', /"labels" must be given where hardWeight > 0/, ArgumentError, () => ({ labels: undefined })],
    [
      'a label that is no class',
      /"labels" must be a class, −1 or ignoreIndex .*row 2/,
      ArgumentError,
      () => ({ labels: i32([0, 1, 7, 1, 1]), rowWeights: undefined }),
    ],
    [
      'NaN in the hidden states',
      /"studentHidden": NaN in row 0; give the row weight 0/,
      NumericError,
      ({ student }) => ({
        rowWeights: undefined,
        student: { ...student, hidden: f32([5, 4], Array(20).fill(Number.NaN)) },
      }),
    ],
    [
      'an infinite weight',
      /"studentWeight": Infinity in row 6$/,
      NumericError,
      ({ student }) => ({
        student: { ...student, weight: f32([7, 4], [...Array(27).fill(0), Number.POSITIVE_INFINITY]) },
      }),
    ],
    [
      'logits beyond float32',
      /"student": logits beyond float32 in row 0/,
      NumericError,
      ({ student }) => ({
        rowWeights: undefined,
        student: { ...student, hidden: f32([5, 4], Array(20).fill(1e30)), weight: f32([7, 4], Array(28).fill(1e30)) },
      }),
    ],
    [
      'gradients in the memory of a weight',
      /"out.weight" must be apart from the memory of "student.weight"/,
      ArgumentError,
      ({ student }) => ({ out: { weight: student.weight } }),
    ],
    [
      'two gradients in one place',
      /"out.weight" must be apart from the memory of "out.hidden"/,
      ArgumentError,
      () => {
        const memory = new Float32Array(28)
        const hidden = tensor('float32', [5, 4], memory.subarray(0, 20))
        return { out: { hidden, weight: tensor('float32', [7, 4], memory) } }
      },
    ],
  ])('refuses %s', (_, message, type, change) => {
    const given = options('refused', 5, 7, 4)
    const call = () => linearSoftTargetLoss({ ...given, ...change(given), backend } as LinearSoftTargetLossOptions)
    expect(call).toThrow(type)
    expect(call).toThrow(message)
  })
})
