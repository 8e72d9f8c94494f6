import { type Predict, type Tensor, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cascade, evaluateCascade, MemberError, never } from '../src/index.js'
import { libraries, logits, matrix, rowsOf, says, softmax } from './oracle.js'

/** Stages as tables: an input row is its number, a stage looks it up and notes how many rows each of its calls had. */
function stagesOf(members: readonly (readonly (readonly number[])[])[]): { stages: Predict[]; calls: number[][] } {
  const calls = members.map((): number[] => [])
  const stages = members.map(
    (rows, s): Predict =>
      async ({ row }) => {
        const at = Array.from(row!.data as Float32Array)
        calls[s]!.push(at.length)
        return logits(
          at.map((r) => rows[r]!),
          rows[0]!.length,
        )
      },
  )
  return { stages, calls }
}

function numbered(rows: readonly number[]): TensorMap {
  return tensorMap([['row', tensor('float32', [rows.length], Float32Array.from(rows))]])
}

function stageOf(outputs: TensorMap): number[] {
  return Array.from((outputs.stage as Tensor<'int32'>).data)
}

const drawn = libraries({ members: 4, rows: 9, classes: 4 }).chain((library) =>
  fc.record({
    members: fc.constant(library.members),
    thresholds: fc.array(fc.oneof(fc.double({ min: 0.2, max: 1, noNaN: true }), fc.constantFrom(0, never)), {
      minLength: library.members.length - 1,
      maxLength: library.members.length - 1,
    }),
    batchSize: fc.option(fc.integer({ min: 1, max: 10 }), { nil: undefined }),
  }),
)

describe('cascade', () => {
  test('is what asking row by row gives, whatever the batches', async () => {
    await fc.assert(
      fc.asyncProperty(drawn, async ({ members, thresholds, batchSize }) => {
        const { stages } = stagesOf(members)
        const rows = members[0]!.map((_, r) => r)
        const got = await cascade(stages, thresholds, { batchSize })(numbered(rows))
        const one = cascade(stages, thresholds)
        for (const r of rows) {
          const alone = await one(numbered([r]))
          expect(rowsOf(got)[r]).toEqual(rowsOf(alone)[0])
          expect(stageOf(got)[r]).toBe(stageOf(alone)[0])
        }
      }),
    )
  })

  test('asks stages as the definition says, in full batches, and none that no row reaches', async () => {
    await fc.assert(
      fc.asyncProperty(drawn, async ({ members, thresholds, batchSize }) => {
        const { stages, calls } = stagesOf(members)
        const rows = members[0]!.map((_, r) => r)
        const got = await cascade(stages, thresholds, { batchSize })(numbered(rows))
        const reached = members.map(() => 0)
        for (const r of rows) {
          let s = 0
          while (s < thresholds.length && Math.max(...softmax(members[s]![r]!)) < thresholds[s]!) s++
          expect(stageOf(got)[r]).toBe(s)
          expect(rowsOf(got)[r]).toEqual(members[s]![r])
          for (let at = 0; at <= s; at++) reached[at]! += 1
        }
        const size = batchSize ?? rows.length
        for (const [s, sizes] of calls.entries()) {
          expect(sizes.reduce((a, b) => a + b, 0)).toBe(reached[s])
          expect(sizes.slice(0, -1).every((n) => n === size)).toBe(true)
          expect(sizes).toHaveLength(Math.ceil(reached[s]! / size))
        }
      }),
    )
  })

  test('thresholds of 0 are the first stage, above 1 the last', async () => {
    await fc.assert(
      fc.asyncProperty(drawn, async ({ members }) => {
        const { stages } = stagesOf(members)
        const rows = numbered(members[0]!.map((_, r) => r))
        const between = members.length - 1
        const none = await cascade(stages, new Array<number>(between).fill(0))(rows)
        const all = await cascade(stages, new Array<number>(between).fill(never))(rows)
        expect(none.logits).toEqual((await stages[0]!(rows)).logits)
        expect(all.logits).toEqual((await stages.at(-1)!(rows)).logits)
      }),
    )
  })

  test('rows of every kind of input travel together', async () => {
    const seen: TensorMap[] = []
    const unsure = says([[0, 0], [9, 0], [0, 0]]) // biome-ignore format: a table
    const last: Predict = async (inputs) => {
      seen.push(inputs)
      return logits([[1, 2], [3, 4]]) // biome-ignore format: a table
    }
    const inputs = tensorMap([
      ['pixels', tensor('uint8', [3, 2], Uint8Array.of(1, 2, 3, 4, 5, 6))],
      ['id', tensor('int64', [3], BigInt64Array.of(10n, 20n, 30n))],
      ['word', tensor('string', [3, 1], ['a', 'b', 'c'])],
      ['nothing', tensor('float32', [3, 0], new Float32Array())],
    ])
    const got = await cascade([unsure, last], [0.9])(inputs)
    expect(rowsOf(got)).toEqual([[1, 2], [9, 0], [3, 4]]) // biome-ignore format: a table
    expect(seen).toEqual([
      tensorMap([
        ['pixels', tensor('uint8', [2, 2], Uint8Array.of(1, 2, 5, 6))],
        ['id', tensor('int64', [2], BigInt64Array.of(10n, 30n))],
        ['word', tensor('string', [2, 1], ['a', 'c'])],
        ['nothing', tensor('float32', [2, 0], new Float32Array())],
      ]),
    ])
  })

  test('a confidence that is the threshold answers', async () => {
    const outputs = await cascade([says([[0, 0]]), says([[1, 2]])], [0.5])(numbered([0]))
    expect(stageOf(outputs)).toEqual([0])
    const rows = { outputs: [logits([[0, 0]]), logits([[1, 2]])], labels: Int32Array.of(1), costs: [1, 1] }
    expect(evaluateCascade({ ...rows, thresholds: [0.5] }).answered).toEqual([1, 0])
  })

  test('no rows: the first stage says how many classes there are', async () => {
    const { stages, calls } = stagesOf([[[1, 2, 3]], [[1, 2, 3]]])
    const got = await cascade(stages, [0.5])(numbered([]))
    expect(got.logits).toEqual(matrix([], 3))
    expect(calls).toEqual([[0], []])
  })

  test('a stage that fails is named, with its cause', async () => {
    const cause = new Error('out of memory')
    const running = cascade([says([[0, 0]]), () => Promise.reject(cause)], [never], { names: ['small', 'big'] })(
      numbered([0]),
    )
    await expect(running).rejects.toThrow('cascade: stages[1] (big) failed: out of memory')
    await expect(running).rejects.toMatchObject({ code: 'ERR_MEMBER', index: 1, member: 'big', cause })
    await expect(running).rejects.toBeInstanceOf(MemberError)
  })

  test('the signal goes to stages, and none begins after it', async () => {
    const stop = new AbortController()
    const reason = new Error('enough')
    let ran = 0
    const first: Predict = async (_, signal) => {
      expect(signal).toBe(stop.signal)
      stop.abort(reason)
      return logits([[0, 0]])
    }
    const second: Predict = async () => {
      ran++
      return logits([[0, 0]])
    }
    await expect(cascade([first, second], [never])(numbered([0]), stop.signal)).rejects.toBe(reason)
    await expect(cascade([second], [])(numbered([0]), stop.signal)).rejects.toBe(reason)
    expect(ran).toBe(0)
  })

  const flat = says([[0, 0]])
  test.each([
    [
      'other classes',
      () => cascade([flat, says([[1, 2, 3]])], [never])(numbered([0])),
      /stages\[1\]" must be \[1, 2\], got \[1, 3\]/,
    ],
    ['other rows', () => cascade([flat], [])(numbered([0, 1])), /stages\[0\]" must be \[2, C\], got \[1, 2\]/],
    ['NaN', () => cascade([says([[0, 0], [Number.NaN, 0]])], [])(numbered([0, 1])), /stages\[0\] hold NaN in row 1/], // biome-ignore format: one line a case
    ['no inputs', () => cascade([flat], [])(tensorMap()), /at least one tensor/],
    [
      'no output of that name',
      () => cascade([flat], [], { output: 'z' })(numbered([0])),
      /stages\[0\] has no output "z"/,
    ],
    [
      'inputs that disagree',
      () => cascade([flat], [])({ ...numbered([0]), more: tensor('float32', [2], new Float32Array(2)) }),
      /inputs.more" must be \[1, …\], got \[2\]/,
    ],
  ])('%s', async (_, run, said) => {
    await expect(run()).rejects.toThrow(said)
  })

  test('a NaN further down is told with the row of the inputs, not of the batch', async () => {
    const { stages } = stagesOf([[[9, 0], [9, 0], [0, 0]], [[0, 0], [0, 0], [Number.NaN, 0]]]) // biome-ignore format: a table
    await expect(cascade(stages, [0.9])(numbered([0, 1, 2]))).rejects.toThrow(/stages\[1\] hold NaN in row 2/)
  })

  test.each([
    ['no stages', () => cascade([], []), /"stages" must be a list with at least one/],
    ['too many thresholds', () => cascade([flat], [0.5]), /thresholds" must be 0 numbers/],
    ['a threshold that is none', () => cascade([flat, flat], [Number.NaN]), /thresholds\[0\]" must be a number ≥ 0/],
    ['batches of nothing', () => cascade([flat], [], { batchSize: 0 }), /batchSize" must be a whole number ≥ 1/],
    ['a stage that is none', () => cascade(['cheap' as never], []), /stages\[0\]" must be a function/],
  ])('%s is refused at once', (_, call, said) => {
    expect(call).toThrow(said)
  })
})
