import { type Dim, type Graph, readsOf } from '@imago/onnx'
import { UnsupportedError } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { defaultRules, type Rule, type RuleTable, vjp } from '../src/index.js'
import { graphOf, opsOf } from './graph-of.js'

/** y = p·tanh(q), by way of Mul and Tanh. */
const gated: Rule = (node, ctx, cotangents) =>
  ctx.replay(cotangents, () => [ctx.b.op('Mul', [node.inputs[0]!, ctx.b.op('Tanh', [node.inputs[1]!])])])

const rules: RuleTable = { ...defaultRules, 'my.domain.Gated': gated }
const of = (p: string, q: string): Graph =>
  graphOf((b) => b.op('Gated', [p, q], {}, { domain: 'my.domain', name: 'gate' }))
const shapes = new Map([['gated', { name: 'gated', type: 'float32' as const, shape: ['N', 3] as Dim[] }]])

describe('a rule by way of other ops', () => {
  test('runs them again in the backward graph, and leaves the forward graph as it is', () => {
    const { forward, backward, saved } = vjp(of('x', 'w'), { wrt: ['x', 'w'], rules, shapes })
    expect(opsOf(forward)).toEqual(['Gated'])
    expect(saved).toEqual([])
    expect(opsOf(backward)).toContain('Tanh')
    const known = new Set([...backward.inputs.map(({ name }) => name), ...backward.initializers.keys()])
    for (const node of backward.nodes) {
      for (const name of readsOf(node)) expect(known.has(name), name).toBe(true)
      for (const name of node.outputs) known.add(name)
    }
  })

  test('computes nothing for inputs that are not asked for', () => {
    // d(p·tanh q)/dp needs tanh q, and nothing of p.
    const { backward } = vjp(of('x', 'w'), { wrt: ['x'], rules, shapes })
    expect(backward.inputs.map(({ name }) => name)).not.toContain('x')
    expect(opsOf(backward).filter((op) => op === 'Mul')).toHaveLength(1)
  })

  test('gives an input that is read twice its whole gradient once', () => {
    const { backward, gradients } = vjp(of('x', 'x'), { wrt: ['x'], rules, shapes })
    const last = backward.nodes.find((node) => node.outputs.includes(gradients.x!))
    expect(last?.op).toBe('Add')
  })

  test('names the op itself where one of the others refuses', () => {
    const bad: Rule = (node, ctx, cotangents) => ctx.replay(cotangents, () => [ctx.b.op('QuantizeLinear', node.inputs)])
    const run = () => vjp(of('x', 'w'), { wrt: ['x'], rules: { ...rules, 'my.domain.Gated': bad }, shapes })
    expect(run).toThrow(UnsupportedError)
    expect(run).toThrow(
      /Gated node "gate" cannot be differentiated: of its parts, QuantizeLinear .*rounding has no slope/,
    )
  })
})

test('a recurrent layer is refused with the reason where its form is not served', () => {
  const layer = graphOf((b) => {
    const x = b.op('Unsqueeze', ['x', b.ints([0])])
    const w = b.op('Unsqueeze', ['w', b.ints([0])])
    return b.op('RNN', [x, w, w], { hidden_size: 3, layout: 1 })
  })
  expect(() => vjp(layer, { wrt: ['w'] })).toThrow(/layout 1\); use layout 0/)
})
