import { builder } from '@imago/onnx'
import { expect, test } from 'vitest'
import { inspectGradients } from '../src/index.js'

test('every node gets one of three answers, with the reason', () => {
  const b = builder()
  b.input('x', 'float32', ['N', 3])
  const y = b.op('Relu', ['x'])
  b.op('ArgMax', [y])
  b.op('Cast', [y], { to: 7 })
  b.op('Cast', [y], { to: 11 })
  b.op('Scan', [y])
  b.op('Relu', [y], {}, { domain: 'elsewhere' })
  const answers = inspectGradients(b.graph())
  expect(answers.map(({ answer }) => answer)).toEqual(['rule', 'zero', 'zero', 'rule', 'refused', 'refused'])
  expect(answers[4]?.reason).toContain('control flow')
  expect(answers[5]?.reason).toContain('elsewhere.Relu')
  for (const { answer, reason } of answers) expect(reason === undefined).toBe(answer === 'rule')
})
