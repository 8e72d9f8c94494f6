import { builder, type Graph, type Node } from '@imago/onnx'
import { ArgumentError, NotFoundError, tensor, UnsupportedError } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { defaultRules, type Rule, type RuleTable, refuse, vjp, zero } from '../src/index.js'
import { graphOf, opsOf } from './graph-of.js'

const dense = graphOf((b) => b.op('Relu', [b.op('Gemm', ['x', 'w'], {}, { name: 'fc' })]))

function message(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(UnsupportedError)
    return (error as Error).message
  }
  throw new Error('nothing was thrown')
}

describe('the backward graph', () => {
  test('of a dense layer is Gemm with transposed operands, never a Transpose', () => {
    const { backward } = vjp(dense, { wrt: ['w', 'x'] })
    expect(opsOf(backward)).toEqual(['Greater', 'Cast', 'Mul', 'Gemm', 'Gemm'])
  })

  test('makes nothing for inputs that are not asked for', () => {
    const program = vjp(dense, { wrt: ['w'] })
    expect(opsOf(program.backward).filter((op) => op === 'Gemm')).toHaveLength(1)
    expect(Object.keys(program.gradients)).toEqual(['w'])
    expect(program.backward.inputs.map((input) => input.name)).not.toContain('w')
  })

  test('takes only what it names: inputs, parameters and saved values', () => {
    const { forward, backward, saved, cotangents } = vjp(dense, { wrt: ['w', 'x'] })
    const given = new Set([...forward.inputs, ...forward.outputs].map((value) => value.name))
    for (const { name } of backward.inputs)
      expect(given.has(name) || Object.values(cotangents).includes(name), name).toBe(true)
    for (const name of saved) expect(forward.outputs.map((value) => value.name)).toContain(name)
  })

  test('saves no output of the model twice, and no parameter', () => {
    const { saved, outputs } = vjp(dense, { wrt: ['w'] })
    expect(outputs).toHaveLength(1)
    expect(saved).toEqual([])
  })

  test('is in topological order and defines every name once', () => {
    const { backward } = vjp(dense, { wrt: ['w', 'x'] })
    expectOrdered(backward)
  })

  test('carries no node that no gradient needs', () => {
    const branchy = graphOf((b) => {
      const main = b.op('MatMul', ['x', 'w'])
      b.op('Exp', [main])
      return b.op('Tanh', [main])
    })
    expect(opsOf(vjp(branchy, { wrt: ['w'] }).backward)).not.toContain('Exp')
  })

  test('adds up what flows back to a value that is used twice', () => {
    const twice = graphOf((b) => b.op('Mul', [b.op('Exp', ['x']), b.op('Tanh', ['x'])]))
    expect(opsOf(vjp(twice, { wrt: ['x'] }).backward).filter((op) => op === 'Add')).toHaveLength(1)
    const often = graphOf((b) => b.op('Sum', ['x', 'x', 'x']))
    expect(opsOf(vjp(often, { wrt: ['x'] }).backward)).toEqual(['Sum'])
  })

  test('copies a cotangent that is the gradient of two parameters', () => {
    const sum = graphOf((b) => b.op('Add', ['w', b.op('Identity', ['w'])]))
    const b = builder()
    b.input('p', 'float32', ['N', 3])
    b.input('q', 'float32', ['N', 3])
    b.output(b.op('Add', ['p', 'q']))
    const { gradients, backward } = vjp(b.graph(), { wrt: ['p', 'q'] })
    expect(new Set(Object.values(gradients)).size).toBe(2)
    expect(opsOf(backward)).toEqual(['Identity', 'Identity'])
    expect(opsOf(vjp(sum, { wrt: ['w'] }).backward)).toEqual(['Add'])
  })

  test('gives zeros in the right shape where the loss does not depend on a parameter', () => {
    const { backward, gradients } = vjp(
      graphOf((b) => b.op('Relu', ['x'])),
      { wrt: ['w', 'x'] },
    )
    const output = backward.outputs.find((value) => value.name === gradients.w)
    expect(output).toMatchObject({ type: 'float32', shape: [3, 3] })
    expect(backward.nodes.some((node) => node.outputs.includes(gradients.w!))).toBe(true)
  })

  test('keeps the batch open', () => {
    const { forward, backward, gradients } = vjp(dense, { wrt: ['w', 'x'] })
    expect(backward.outputs.find((value) => value.name === gradients.x)?.shape).toEqual(['N', 3])
    expect(forward.inputs.find((value) => value.name === 'x')?.shape).toEqual(['N', 3])
  })
})

describe('initializers', () => {
  const b = builder()
  b.input('x', 'float32', ['N', 2])
  b.initializer('w', tensor('float32', [2, 2], Float32Array.of(1, 2, 3, 4)))
  b.initializer('frozen', tensor('float32', [2, 2], Float32Array.of(1, 0, 0, 1)))
  b.output(b.op('MatMul', [b.op('MatMul', ['x', 'w']), b.op('Transpose', ['frozen'])]))
  const graph = b.graph()

  test('among wrt become inputs of forward, the others stay', () => {
    const { forward, inputs, parameters } = vjp(graph, { wrt: ['w'] })
    expect(inputs).toEqual(['x'])
    expect(parameters).toEqual(['w'])
    expect([...forward.initializers.keys()]).toEqual(['frozen'])
    expect(forward.inputs.find((value) => value.name === 'w')).toMatchObject({ type: 'float32', shape: [2, 2] })
  })

  test('and what comes from them alone are computed again in backward, not saved', () => {
    const { saved, backward } = vjp(graph, { wrt: ['w'] })
    expect(saved).toEqual([])
    expect([...backward.initializers.keys()]).toContain('frozen')
    expect(opsOf(backward)).toContain('Transpose')
    expectOrdered(backward)
  })
})

describe('three answers, never silence', () => {
  const odd = graphOf((b) => b.op('Relu', [b.op('Mystery', ['x'], {}, { name: 'odd one', domain: 'my.domain' })]))

  test('no rule on a needed path: the error names node, op, and what to do', () => {
    const text = message(() => vjp(typed(odd), { wrt: ['x'] }))
    expect(text).toContain('odd one')
    expect(text).toContain('my.domain.Mystery')
    expect(text).toContain("'my.domain.Mystery': (node, ctx, cotangents)")
  })

  test('no rule beside the path: no error', () => {
    expect(() => vjp(typed(odd), { wrt: ['w'] })).not.toThrow()
  })

  test('refused: the error carries the reason', () => {
    const rules: RuleTable = { ...defaultRules, Relu: refuse('it is Tuesday') }
    expect(message(() => vjp(dense, { wrt: ['w'], rules }))).toMatch(/Relu node.*it is Tuesday/)
  })

  test('zero: nothing flows, and nothing behind it needs a rule', () => {
    const stepped = graphOf((b) =>
      b.op('Mul', ['x', b.op('Floor', [b.op('Mystery', ['x'], {}, { domain: 'my.domain' })])]),
    )
    const { backward } = vjp(typed(stepped), { wrt: ['x'] })
    expect(opsOf(backward)).toEqual(['Mul'])
    expect(opsOf(vjp(dense, { wrt: ['w'], rules: { ...defaultRules, Relu: zero } }).backward)).toEqual(['Expand'])
  })

  test('a rule of your own is used like any other', () => {
    const mystery: Rule = (_node, ctx, [dY]) => [ctx.b.op('Mul', [dY!, ctx.scalar(3, 'x')])]
    const { backward } = vjp(typed(odd), { wrt: ['x'], rules: { ...defaultRules, 'my.domain.Mystery': mystery } })
    expect(opsOf(backward)).toEqual(['Greater', 'Cast', 'Mul', 'Mul'])
  })

  test('a rule that forgets an input it was asked for is refused', () => {
    const forgetful: Rule = (node, ctx, [dY]) => [ctx.b.op('Gemm', [dY!, node.inputs[1]!], { transB: 1 })]
    const rules = { ...defaultRules, Gemm: forgetful }
    expect(() => vjp(dense, { wrt: ['x'], rules })).not.toThrow()
    expect(message(() => vjp(dense, { wrt: ['w'], rules }))).toContain('"w"')
  })

  test('a value taken by a branch is not lost', () => {
    const then = graphOf((b) => b.op('Exp', ['x']))
    const inner: Graph = { ...then, inputs: [] }
    const branching = graphOf((b) => {
      const flag = b.constant(tensor('bool', [], Uint8Array.of(1)))
      return b.op('If', [flag], { then_branch: inner, else_branch: inner })
    })
    expect(message(() => vjp(typed(branching), { wrt: ['x'] }))).toContain('control flow')
  })

  test('an output of unknown type is refused, not left out', () => {
    expect(message(() => vjp(odd, { wrt: ['x'] }))).toContain('unknown')
  })

  /** Types that shape inference cannot tell for an op of another domain. */
  function typed(graph: Graph): Graph {
    const nodes: readonly Node[] = graph.nodes
    const values = nodes.flatMap((node) =>
      node.outputs.map((name) => ({ name, type: 'float32' as const, shape: ['N', 3] as const })),
    )
    return { ...graph, values }
  }
})

describe('bad requests', () => {
  test('wrt that the graph does not have', () => {
    expect(() => vjp(dense, { wrt: ['v'] })).toThrow(NotFoundError)
    expect(() => vjp(dense, { wrt: ['w', 'w'] })).toThrow(ArgumentError)
  })

  test('seeds that are no outputs', () => {
    expect(() => vjp(dense, { wrt: ['w'], seeds: ['x'] })).toThrow(NotFoundError)
  })

  test('a type without gradients', () => {
    const b = builder()
    b.input('x', 'float16', ['N', 3])
    b.output(b.op('Relu', ['x']))
    expect(message(() => vjp(b.graph(), { wrt: ['x'], seeds: [b.graph().outputs[0]!.name] }))).toContain('float16')
  })
})

function expectOrdered(graph: Graph): void {
  const known = new Set([...graph.inputs.map((input) => input.name), ...graph.initializers.keys()])
  for (const node of graph.nodes) {
    for (const input of node.inputs) expect(known.has(input) || input === '', `${node.op} reads ${input}`).toBe(true)
    for (const output of node.outputs) {
      expect(known.has(output), `${output} is defined twice`).toBe(false)
      known.add(output)
    }
  }
  for (const { name } of graph.outputs) expect(known.has(name)).toBe(true)
}
