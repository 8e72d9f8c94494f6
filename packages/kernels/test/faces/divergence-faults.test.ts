import { ArgumentError, NumericError, ShapeError, type Tensor, tensor, zeros } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import {
  backends,
  type CrossEntropyOptions,
  crossEntropy,
  dist,
  dkd,
  jsDivergence,
  klDivergence,
  type TopKTeacher,
  topK,
  topKSoftTargetLoss,
} from '../../src/index.js'
import { f32, i32, student, teacher, thrown } from './every-face.js'

const topTwo = (): { indices: Tensor; logProbabilities: Tensor } => ({
  indices: tensor('int32', [2, 2], Int32Array.of(0, 2, 1, 0)),
  logProbabilities: f32([2, 2], [-1, -2, -0.5, -3]),
})

describe('class masks, distributions and teachers of k classes', () => {
  const mask = (...values: number[]) => tensor('uint8', [values.length], Uint8Array.from(values))

  test('a mask of the wrong length or type, or that leaves nothing', () => {
    const call = (classMask: Tensor) => () => klDivergence({ student: student(), teacher: teacher(), classMask })
    expect(thrown(call(mask(1, 1)))).toBeInstanceOf(ShapeError)
    expect(thrown(call(f32([3], [1, 1, 1])))).toBeInstanceOf(ShapeError)
    const error = thrown(call(mask(0, 0, 0)))
    expect(error).toBeInstanceOf(ArgumentError)
    expect(error.message).toMatch(/classMask.*at least one class/)
    expect(call({ type: 'bool', dims: [3], data: Uint8Array.of(1, 0, 1) } as Tensor)).not.toThrow()
  })

  test('labels and distribution: one of them', () => {
    const options = { student: student() } as unknown as CrossEntropyOptions
    expect(thrown(() => crossEntropy(options)).message).toMatch(/labels \[N\] or a distribution/)
    const both = { student: student(), labels: i32(0, 1), distribution: student() } as unknown as typeof options
    expect(thrown(() => crossEntropy(both))).toBeInstanceOf(ArgumentError)
  })

  test('the gradient may not overwrite the distribution or the teacher', () => {
    const distribution = f32([2, 3], [1, 0, 0, 0, 1, 0])
    expect(thrown(() => crossEntropy({ student: student(), distribution, out: distribution })).message).toMatch(/apart/)
    const values = f32([2, 3], [0, -9, -9, -9, 0, -9])
    const indices = tensor('int32', [2, 3], Int32Array.of(0, 1, 2, 0, 1, 2))
    const teacher = { indices, logProbabilities: values }
    const call = () => topKSoftTargetLoss({ student: student(), teacher, temperature: 1, out: values })
    expect(thrown(call).message).toMatch(/apart/)
  })

  test.each(backends().filter(({ available }) => available))('what kernels refuse, on $name', ({ name: backend }) => {
    const labelled = () => dkd({ student: student(), teacher: teacher(), labels: i32(0, 7), temperature: 2, backend })
    expect(thrown(labelled)).toBeInstanceOf(ArgumentError)
    const half = f32([2, 3], [0.5, 0.5, 0, 0.5, 0, 0])
    const error = thrown(() => crossEntropy({ student: student(), distribution: half, backend }))
    expect(error).toBeInstanceOf(NumericError)
    expect(error.message).toMatch(/distribution.*0.5 as the sum in row 1/)
    const top = (change: Partial<ReturnType<typeof topTwo>>) => () =>
      topKSoftTargetLoss({ student: student(), teacher: { ...topTwo(), ...change }, temperature: 2, backend })
    const twice = thrown(top({ indices: tensor('int32', [2, 2], Int32Array.of(0, 2, 1, 1)) }))
    expect(twice).toBeInstanceOf(ArgumentError)
    expect(twice.message).toMatch(/indices.*each once.*row 1/)
    expect(thrown(top({ logProbabilities: f32([2, 2], [-1, -2, -0.1, -0.2]) }))).toBeInstanceOf(NumericError)
  })

  test('k logits that are not all classes need their tail; k is between 1 and C', () => {
    const { indices, logProbabilities: values } = topTwo()
    const call = (teacher: TopKTeacher) => () => topKSoftTargetLoss({ student: student(), teacher, temperature: 2 })
    expect(thrown(call({ indices, values })).message).toMatch(/logTail/)
    const four = { indices: zeros('int32', [2, 4]), logProbabilities: zeros('float32', [2, 4]) }
    expect(thrown(call(four)).message).toMatch(/1 … 3 classes/)
    const { indices: found, values: logits, logTail } = topK({ logits: teacher(), k: 2, temperature: 2 })
    expect(call({ indices: found, values: logits, logTail })().value).toBeGreaterThan(0)
  })

  test.each([0, 1, -0.5, Number.NaN, '½'])('β = %s of a JSD', (beta) => {
    const call = () => jsDivergence({ student: student(), teacher: teacher(), beta: beta as number })
    expect(thrown(call)).toBeInstanceOf(ArgumentError)
  })

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('%s as a factor', (alpha) => {
    expect(
      thrown(() => dkd({ student: student(), teacher: teacher(), labels: i32(0, 1), temperature: 1, alpha })),
    ).toBeInstanceOf(ArgumentError)
    expect(thrown(() => dist({ student: student(), teacher: teacher(), gamma: alpha }))).toBeInstanceOf(ArgumentError)
  })
})
