import { tensor, tensorMap, zeros } from '@imago/tensor'
import { expect, test } from 'vitest'
import {
  dist,
  dkd,
  hardLabel,
  hardWeightOf,
  jsd,
  logitRegression,
  logitStandardization,
  nkd,
  reverseKl,
  softTarget,
  squaredErrorOnProbabilities,
  totalVariation,
  virtualTeacher,
} from '../src/index.js'
import { type Drawn, outputs, targets } from './batches.js'

const batch: Drawn = {
  student: [
    [1, 2, 3],
    [2, 3, 4],
  ],
  teacher: [
    [3, 1, 2],
    [1, 0, 1],
  ],
  labels: [1, 2],
  weights: [1, 1],
}

test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '4' as unknown as number])(
  'T = %s is refused',
  (temperature) => {
    for (const make of [
      softTarget,
      reverseKl,
      jsd,
      totalVariation,
      dkd,
      dist,
      nkd,
      virtualTeacher,
      squaredErrorOnProbabilities,
    ])
      expect(() => make({ temperature })).toThrow(
        expect.objectContaining({ code: 'ERR_ARGUMENT', argument: 'temperature' }),
      )
  },
)

test.each([-0.1, 1.1, Number.NaN])('a = %s is refused', (hardWeight) => {
  expect(() => softTarget({ temperature: 1, hardWeight })).toThrow(/hardWeight/)
})

test.each([0, 1, -0.1, Number.NaN])('a virtual teacher who is right with %s is refused', (correct) => {
  expect(() => virtualTeacher({ correct })).toThrow(/correct/)
})

test.each([0, 1, -0.1, Number.NaN])('β = %s of a JSD is refused', (beta) => {
  expect(() => jsd({ beta })).toThrow(/beta/)
})

test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('%s as a factor is refused', (factor) => {
  expect(() => dkd({ temperature: 4, alpha: factor })).toThrow(/alpha/)
  expect(() => dkd({ temperature: 4, beta: factor })).toThrow(/beta/)
  expect(() => dist({ beta: factor })).toThrow(/beta/)
  expect(() => dist({ gamma: factor })).toThrow(/gamma/)
  expect(() => nkd({ gamma: factor })).toThrow(/gamma/)
})

test.each([-0.1, 1, Number.NaN])('ε = %s is refused', (smoothing) => {
  expect(() => hardLabel({ smoothing })).toThrow(/smoothing/)
})

test.each([
  softTarget({ temperature: 4 }),
  logitRegression(),
  jsd(),
  dkd({ temperature: 4 }),
  dist(),
  squaredErrorOnProbabilities(),
])('a teacher of other classes is named as such', (loss) => {
  const other = { ...targets(batch), logits: zeros('float32', [2, 10]) }
  expect(() => loss.evaluate(outputs(batch.student), other)).toThrow(/the teacher has 10 classes, the student 3/)
})

test('rows that disagree are refused', () => {
  const loss = softTarget({ temperature: 4, hardWeight: 0.5 })
  const { logits, labels, weights } = targets(batch)
  const refuse = (changed: object, message: RegExp): void =>
    expect(() => loss.evaluate(outputs(batch.student), { logits: logits!, labels: labels!, ...changed })).toThrow(
      message,
    )
  refuse({ logits: zeros('float32', [1, 3]) }, /targets\.logits.*N=2.*\[1, 3\]/)
  refuse({ labels: zeros('int32', [3]) }, /targets\.labels.*\[N=2\].*\[3\]/)
  refuse({ labels: zeros('int64', [2]) }, /targets\.labels.*int32/)
  refuse({ weights: zeros('float32', [1]) }, /targets\.weights/)
  refuse({ weights: tensor('float32', [2], Float32Array.of(1, -1)) }, /rowWeights/)
  refuse({ labels: tensor('int32', [2], Int32Array.of(0, 12)) }, /labels.*12/)
  expect(weights).toBeDefined()
})

test('NaN is refused with its row', () => {
  const bad = {
    ...batch,
    student: [
      [1, 2, 3],
      [1, Number.NaN, 2],
    ],
  }
  for (const loss of [
    softTarget({ temperature: 4 }),
    hardLabel(),
    logitRegression(),
    reverseKl(),
    dkd({ temperature: 4 }),
    dist(),
  ])
    expect(() => loss.evaluate(outputs(bad.student), targets(bad))).toThrow(
      expect.objectContaining({ code: 'ERR_NUMERIC', message: expect.stringContaining('row 1') }),
    )
})

test('labels that softTarget does not need are read where they are there', () => {
  const loss = softTarget({ temperature: 4 })
  const { logits, labels } = targets(batch)
  const without = loss.evaluate(outputs(batch.student), { logits: logits! })
  expect(Object.keys(without.parts)).toEqual(['soft'])
  const reported = loss.evaluate(outputs(batch.student), { logits: logits!, labels: labels! })
  expect(Object.keys(reported.parts)).toEqual(['soft', 'hard'])
  expect(reported.value).toBe(without.value)
})

test('another output name is read and answered', () => {
  const loss = softTarget({ temperature: 4, output: 'head' })
  const student = tensorMap([['head', outputs(batch.student).logits!]])
  expect(loss.needs.student).toEqual(['head'])
  expect(Object.keys(loss.evaluate(student, targets(batch)).cotangents)).toEqual(['head'])
})

test('hardWeightOf: soft 1 : hard h is a = h/(1 + h)', () => {
  expect(hardWeightOf(0)).toBe(0)
  expect(hardWeightOf(1)).toBe(0.5)
  expect(hardWeightOf(0.25)).toBe(0.2)
  expect(hardWeightOf(Number.POSITIVE_INFINITY)).toBe(1)
  expect(() => hardWeightOf(-1)).toThrow(/relative/)
  expect(() => hardWeightOf(Number.NaN)).toThrow(/relative/)
})

test('logits are standardized for losses between logits, of two classes or more', () => {
  expect(() => logitStandardization(hardLabel())).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }))
  const one: Drawn = { student: [[1]], teacher: [[2]], labels: [0], weights: [1] }
  const loss = logitStandardization(softTarget({ temperature: 2 }))
  expect(() => loss.evaluate(outputs(one.student), targets(one))).toThrow(
    expect.objectContaining({ code: 'ERR_SHAPE' }),
  )
})

test('a row of weight 0 may hold NaN where logits are standardized, or labels normalize', () => {
  const broken: Drawn = {
    ...batch,
    student: [
      [1, 2, 3],
      [Number.NaN, 1, 2],
    ],
    weights: [1, 0],
  }
  for (const loss of [logitStandardization(softTarget({ temperature: 2 })), nkd()]) {
    const { value, cotangents } = loss.evaluate(outputs(broken.student), targets(broken))
    expect(Number.isFinite(value)).toBe(true)
    expect([...(cotangents.logits!.data as Float32Array).slice(3)]).toEqual([0, 0, 0])
  }
})

test('nkd names the row that is no distribution, and a label that is no class', () => {
  const broken: Drawn = {
    ...batch,
    student: [
      [1, 2, 3],
      [Number.NaN, 1, 2],
    ],
  }
  expect(() => nkd().evaluate(outputs(broken.student), targets(broken))).toThrow(/row 1/)
  expect(() => nkd().evaluate(outputs(batch.student), targets({ ...batch, labels: [1, 3] }))).toThrow(/labels\[1\]/)
})
