import { fromPredict, type Predict, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { arithmetic, combineOutputs, ensemble, ensembleTargets, geometric, MemberError } from '../src/index.js'
import { logits, rowsOf, says } from './oracle.js'

const inputs: TensorMap = tensorMap([['input', tensor('float32', [2, 1], Float32Array.of(1, -1))]])

/** z = [slope · x, 0] for inputs x [N, 1]. */
function line(slope: number): Predict {
  return async ({ input }) => logits(Array.from(input!.data as Float32Array, (x) => [slope * x, 0]))
}

describe('ensemble', () => {
  test.each([false, true])(
    'members see the inputs, and their logits are combined (concurrent: %s)',
    async (concurrent) => {
      const members = [line(1), line(2), line(6)]
      const outputs = await Promise.all(members.map((member) => member(inputs)))
      const got = await ensemble(members, arithmetic({ temperature: 2, weights: [1, 2, 3] }), { concurrent })(inputs)
      expect(got).toEqual(combineOutputs(outputs, arithmetic({ temperature: 2, weights: [1, 2, 3] })))
      // The geometric mean of linear members is the member with the mean slope, 3.
      const [first, second] = rowsOf(await ensemble(members, geometric(), { concurrent })(inputs))
      expect(first![0]! - first![1]!).toBeCloseTo(3, 5)
      expect(second![0]! - second![1]!).toBeCloseTo(-3, 5)
    },
  )

  test('ensembles nest: the geometric mean of means is the weighted mean of all', async () => {
    const nested = ensemble([ensemble([line(1), line(2)], geometric()), line(6)], geometric({ weights: [2, 1] }))
    const flat = ensemble([line(1), line(2), line(6)], geometric())
    const [a, b] = [rowsOf(await nested(inputs)), rowsOf(await flat(inputs))]
    for (const [r, row] of a.entries()) for (const [c, v] of row.entries()) expect(v).toBeCloseTo(b[r]![c]!, 5)
  })

  test('makers of targets, with the query passed on', async () => {
    const stored = new Map([
      [7, [1, 0]],
      [3, [0, 5]],
    ])
    const store = async ({ ids }: { ids: Uint32Array }): Promise<TensorMap> =>
      logits([...ids].map((id) => stored.get(id)!))
    const both = ensembleTargets([store, fromPredict(line(2))], geometric())
    const got = rowsOf(await both({ ids: Uint32Array.of(3, 7), inputs }))
    expect(got[0]![0]! - got[0]![1]!).toBeCloseTo((-5 + 2) / 2, 5)
    expect(got[1]![0]! - got[1]![1]!).toBeCloseTo((1 - 2) / 2, 5)
  })

  test('a member of weight 0 is not run', async () => {
    const broken: Predict = () => Promise.reject(new Error('ran'))
    const got = await ensemble([broken, line(2), broken], geometric({ weights: [0, 1, 0] }))(inputs)
    expect(rowsOf(got)[0]![0]! - rowsOf(got)[0]![1]!).toBeCloseTo(2, 5)
  })

  test.each([false, true])('the member that fails is named, with its cause (concurrent: %s)', async (concurrent) => {
    const cause = new Error('no such file')
    const broken: Predict = () => Promise.reject(cause)
    const failing = ensemble([line(1), broken], geometric(), { names: ['a.onnx', 'b.onnx'], concurrent })(inputs)
    await expect(failing).rejects.toThrow('ensemble: members[1] (b.onnx) failed: no such file')
    await expect(failing).rejects.toMatchObject({ code: 'ERR_MEMBER', index: 1, member: 'b.onnx', cause })
    await expect(failing).rejects.toBeInstanceOf(MemberError)
  })

  test('a member that throws before it waits is a failing member', async () => {
    const rash = (() => {
      throw new TypeError('rash')
    }) as unknown as Predict
    for (const concurrent of [false, true])
      await expect(ensemble([rash], geometric(), { concurrent })(inputs)).rejects.toMatchObject({
        code: 'ERR_MEMBER',
        index: 0,
      })
  })

  test('members with other classes or rows are named, whatever of them weighs nothing', async () => {
    const odd = ensemble([line(1), line(1), says([[1, 2, 3]])], geometric({ weights: [1, 0, 1] }), {
      names: ['a', 'b', 'c'],
    })
    await expect(odd(inputs)).rejects.toThrow(/"members\[2\] \(c\)" must be \[N=2, C=2\], got \[1, 3\]/)
  })

  test('in order: one at a time, and nothing after a failure', async () => {
    const log: string[] = []
    const member = (name: string, fails = false): Predict => {
      return async (given) => {
        log.push(`${name} begins`)
        await new Promise((resolve) => setImmediate(resolve))
        log.push(`${name} ends`)
        if (fails) throw new Error(name)
        return line(1)(given)
      }
    }
    await ensemble([member('a'), member('b')], geometric())(inputs)
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends'])
    log.length = 0
    await expect(ensemble([member('a', true), member('b')], geometric())(inputs)).rejects.toThrow(/members\[0\]/)
    expect(log).toEqual(['a begins', 'a ends'])
  })

  test('at once: a failure stops the others, which are waited for, and is the one that is told', async () => {
    let stopped = false
    const patient: Predict = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal!.addEventListener('abort', () =>
          setImmediate(() => {
            stopped = true
            reject(signal!.reason)
          }),
        )
      })
    const broken: Predict = () => Promise.reject(new Error('first'))
    const running = ensemble([patient, broken], geometric(), { concurrent: true })(inputs)
    await expect(running).rejects.toMatchObject({ index: 1, message: 'ensemble: members[1] failed: first' })
    expect(stopped).toBe(true)
  })

  test.each([false, true])(
    'the signal is passed on, and its reason comes back (concurrent: %s)',
    async (concurrent) => {
      const stop = new AbortController()
      const reason = new Error('enough')
      let ran = 0
      const patient: Predict = (_, signal) => {
        ran++
        return new Promise((_resolve, reject) => signal!.addEventListener('abort', () => reject(new Error('as told'))))
      }
      const running = ensemble([patient, patient], geometric(), { concurrent })(inputs, stop.signal)
      stop.abort(reason)
      await expect(running).rejects.toBe(reason)
      expect(ran).toBe(concurrent ? 2 : 1)
      await expect(ensemble([patient], geometric(), { concurrent })(inputs, stop.signal)).rejects.toBe(reason)
      expect(ran).toBe(concurrent ? 2 : 1)
    },
  )

  test('a signal that comes while deaf members work is heard in the end', async () => {
    for (const concurrent of [false, true]) {
      const stop = new AbortController()
      const deaf: Predict = async (given) => {
        stop.abort(new Error('heard'))
        return line(1)(given)
      }
      await expect(ensemble([deaf], geometric(), { concurrent })(inputs, stop.signal)).rejects.toThrow('heard')
    }
  })

  test.each([
    ['no members', () => ensemble([], geometric()), /"members" must be a list with at least one/],
    ['a member that is none', () => ensemble([line(1), 7 as never], geometric()), /"members\[1\]" must be a function/],
    ['weights for others', () => ensemble([line(1)], geometric({ weights: [1, 1] })), /weights" must be 1 number/],
  ])('%s', (_, call, said) => {
    expect(call).toThrow(said)
  })
})
