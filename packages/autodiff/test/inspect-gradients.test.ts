import { builder } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { inspectGradients, vjp } from '../src/index.js'

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
  expect(answers[5]?.reason).toMatch(/elsewhere\.Relu; replace the op, freeze the weights before it, or give/)
  for (const { answer, reason } of answers) expect(reason === undefined).toBe(answer === 'rule')
})

describe('where a gradient has to pass', () => {
  const square = tensor(
    'float32',
    [3, 3],
    Float32Array.from({ length: 9 }, (_, i) => i),
  )
  const graph = () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 3])
    const first = b.initializer('first', square)
    const second = b.initializer('second', square)
    const h = b.op('MatMul', [x, first])
    // A form that the rule of Einsum refuses, of weights alone.
    const diagonal = b.op('Einsum', [first], { equation: 'ii->i' })
    b.op('Sigmoid', [h], {}, { outputs: ['unused'] })
    const z = b.op('MatMul', [b.op('Add', [h, diagonal]), second])
    b.output(z, 'float32', ['N', 3])
    return b.graph()
  }

  test('rules are tried on the shapes that are there, and a refusal names the weights behind it', () => {
    const nodes = inspectGradients(graph(), { wrt: ['first', 'second'] })
    const shown = nodes.map(({ node, answer, needed }) => [node.op, answer, needed])
    expect(shown).toEqual([
      ['MatMul', 'rule', true],
      ['Einsum', 'refused', true],
      ['Sigmoid', 'rule', false],
      ['Add', 'rule', true],
      ['MatMul', 'rule', true],
    ])
    expect(nodes[1]?.reason).toMatch(/diagonal/)
    expect(nodes[1]?.behind).toEqual(['first'])
    expect(() => vjp(graph(), { wrt: ['first', 'second'] })).toThrow(/diagonal/)
  })

  test('with these frozen nothing is refused, and vjp agrees', () => {
    const nodes = inspectGradients(graph(), { wrt: ['second'] })
    expect(nodes.filter(({ needed }) => needed).map(({ node }) => node.op)).toEqual(['MatMul'])
    expect(nodes.some(({ answer, needed }) => answer === 'refused' && needed)).toBe(false)
    expect(Object.keys(vjp(graph(), { wrt: ['second'] }).gradients)).toEqual(['second'])
  })
})
