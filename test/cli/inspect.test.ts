import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { builder, encode } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { folder, imago } from './imago.js'

const golden = fileURLToPath(new URL('../golden/import/', import.meta.url))

interface Shown {
  readonly trainable: boolean
  readonly obstacles: readonly string[]
  readonly notes: readonly string[]
  readonly weights: readonly { readonly name: string; readonly role: string }[]
  readonly nodes: readonly { readonly op: string; readonly answer: string; readonly needed: boolean }[]
}

function inspect(...args: string[]): Shown {
  const ran = imago(['inspect', ...args, '--train', '--json'])
  expect(ran.status, ran.stderr).toBe(0)
  return JSON.parse(ran.stdout) as Shown
}

/** Linear, then an op that nobody differentiates, then linear. */
function withoutRule(): string {
  const b = builder()
  const square = tensor('float32', [3, 3], Float32Array.of(1, 2, 0, 0, 1, 2, 2, 0, 1))
  const x = b.input('x', 'float32', ['N', 3])
  const h = b.op('MatMul', [x, b.initializer('encoder.weight', square)])
  const odd = b.op('Relu', [h], {}, { domain: 'com.example', name: 'odd' })
  b.output(b.op('MatMul', [odd, b.initializer('head.weight', square)]), 'float32', ['N', 3])
  const path = join(folder(), 'odd.onnx')
  const graph = { ...b.graph(), values: [{ name: odd, type: 'float32' as const, shape: ['N', 3] }] }
  const opsets = new Map([
    ['', 17],
    ['com.example', 1],
  ])
  writeFileSync(path, encode({ irVersion: 8, opsets, producer: '', graph, metadata: new Map(), functions: [] }))
  return path
}

describe('imago inspect --train', () => {
  it('says of each node and weight what training does with it', () => {
    const shown = inspect(join(golden, 'plain.onnx'), '--freeze', 'encoder.*')
    expect(shown.trainable).toBe(true)
    expect(shown.notes.join()).toContain('3 of 9 weights are frozen')
    expect(shown.weights.find(({ name }) => name === 'encoder.0.weight')?.role).toBe('frozen')
    expect(shown.nodes.map(({ op, answer, needed }) => [op, answer, needed])).toEqual([
      ['Conv', 'rule', false],
      ['BatchNormalization', 'rule', false],
      ['Relu', 'rule', false],
      ['Conv', 'rule', true],
      ['BatchNormalization', 'rule', true],
      ['Relu', 'rule', true],
      ['ReduceMean', 'rule', true],
      ['Gemm', 'rule', true],
    ])
  })

  it('with frozen statistics none is moved', () => {
    const shown = inspect(join(golden, 'plain.onnx'), '--batch-norm', 'frozen')
    expect(shown.weights.filter(({ role }) => role === 'statistic')).toEqual([])
    expect(inspect(join(golden, 'plain.onnx')).weights.filter(({ role }) => role === 'statistic').length).toBe(4)
  })

  it('names what is refused, and what to do: with that frozen the rest trains', () => {
    const path = withoutRule()
    const { trainable, obstacles } = inspect(path)
    expect(trainable).toBe(false)
    expect(obstacles).toEqual([
      expect.stringMatching(/"odd".*no gradient rule for com\.example\.Relu; replace.*to freeze.*: encoder\.weight$/),
    ])
    expect(inspect(path, '--freeze', '^encoder').trainable).toBe(true)
    const words = imago(['inspect', path, '--train']).stdout
    expect(words).toContain('Cannot be trained as it is')
    expect(words).toMatch(/odd +Relu +refused/)
  })

  it('a folded model is explained to people too', () => {
    const { stdout } = imago(['inspect', join(golden, 'folded.onnx'), '--train'])
    expect(stdout).toMatch(/note: BatchNormalization is folded into/)
    expect(stdout).toContain('Can be trained')
  })
})
