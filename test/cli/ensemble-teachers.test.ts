import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { builder, type Model, mlp, writeModel } from '@imago/onnx'
import { rng, type Tensor, tensor } from '@imago/tensor'
import { beforeAll, describe, expect, it } from 'vitest'
import { folder, imago, type Ran, writeDigits } from './imago.js'

/**
 * `--teacher a.onnx,b.onnx` beside one file whose graph holds both members and the formula, which ONNX Runtime computes.
 */
const work = folder()
const temperature = 3
const weights = [1, 2].map((seed) => linearWeights(seed))

beforeAll(async () => {
  writeDigits(join(work, 'digits'))
  for (const [i, name] of ['a', 'b'].entries())
    await writeModel(
      join(work, `${name}.onnx`),
      model((b) => b.op('MatMul', ['input', b.initializer('w', weights[i]!)])),
    )
  await writeModel(
    join(work, 'mean-logits.onnx'),
    model((b) => meanOf(b, (z) => z)),
  )
  for (const t of [1, temperature])
    await writeModel(
      join(work, `mean-at-${t}.onnx`),
      model((b) => arithmeticAt(b, t)),
    )
  await writeModel(join(work, 'twelve.onnx'), mlp([784, 16, 12], { rng: rng(1) }))
})

describe('several teachers', () => {
  it('are their geometric mean unless told otherwise: softmax(mean of the logits / T)', () => {
    const several = distil('a.onnx,b.onnx', 'geometric')
    const one = distil('mean-logits.onnx', 'geometric-oracle')
    expectAlike(several, one)
    expect(several.result.teacher).toEqual(one.result.teacher)
    expect(lossesOf('geometric')[0]).not.toBeCloseTo(lossesOf('a-alone', 'a.onnx')[0]!, 2)
  })

  it('are the mean of their distributions, each tempered first, where that is asked for', () => {
    const several = distil('a.onnx, b.onnx', 'arithmetic', '--combine', 'arithmetic')
    expectAlike(several, distil(`mean-at-${temperature}.onnx`, 'arithmetic-oracle'))
    // Errors are counted at T = 1.
    const atOne = imago(['evaluate', 'mean-at-1.onnx', '--data', 'digits', '--json'], work)
    expect(several.result.teacher.errors).toBe(JSON.parse(atOne.stdout).errors)
  })

  it('go on in their run folder, and others do not', () => {
    const again = distil('a.onnx,b.onnx', 'geometric')
    expect(again.result.teacher).toBeDefined()
    const other = run('b.onnx,a.onnx', 'geometric')
    expect(other.status).toBe(1)
    expect(other.stderr).toMatch(/another run/)
  })

  it.each([
    ['one of them is missing', 'a.onnx,nowhere.onnx', [], /nowhere\.onnx/],
    [
      'their classes differ',
      'a.onnx,twelve.onnx',
      [],
      /members\[1\] \(twelve\.onnx\)" must be \[N=1, C=10\], got \[1, 12\]/,
    ],
    ['a comma too many', 'a.onnx,', [], /--teacher.*one comma/],
    ['one teacher and a mean', 'a.onnx', ['--combine', 'geometric'], /--combine.*one teacher/],
  ])('are refused where %s', (_, teacher, more, said) => {
    const ran = run(teacher, 'refused', ...more)
    expect(ran.status, ran.stderr).toBe(1)
    const lines = ran.stderr.split('\n').filter((line) => line.startsWith('imago: '))
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(said)
    expect(existsSync(join(work, 'refused'))).toBe(false)
  })

  it('are refused where the mean is none', () => {
    const ran = run('a.onnx,b.onnx', 'refused', '--combine', 'harmonic')
    expect(ran.status).toBe(2)
    expect(ran.stderr).toMatch(/--combine.*geometric, arithmetic/)
  })

  it('may have a comma in their names', async () => {
    await writeModel(join(work, 'c,d.onnx'), mlp([784, 10], { rng: rng(5) }))
    expect(run('c,d.onnx', 'comma').status).toBe(0)
  })
})

interface Distilled {
  readonly out: string
  readonly result: { teacher: { errors: number; rows: number }; student: { errors: number; rows: number } }
}

function run(teacher: string, out: string, ...more: string[]): Ran {
  const fixed = ['--arch', 'mlp:784-8-10', '--data', 'digits', '--epochs', '2', '--batch', '50', '--threads', '1']
  return imago(
    [
      'distill',
      '--teacher',
      teacher,
      ...fixed,
      '--temperature',
      `${temperature}`,
      '--out',
      out,
      '--quiet',
      '--json',
      ...more,
    ],
    work,
  )
}

function distil(teacher: string, out: string, ...more: string[]): Distilled {
  const ran = run(teacher, out, ...more)
  expect(ran.status, ran.stderr).toBe(0)
  return { out, result: JSON.parse(ran.stdout) }
}

/** The loss of each epoch; a run that is not there is made. */
function lossesOf(out: string, teacher?: string): number[] {
  if (teacher !== undefined) distil(teacher, out)
  return readFileSync(join(work, out, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).loss)
}

/** Two ways to the same targets in float32: the losses of the same student agree to its rounding. */
function expectAlike(one: Distilled, other: Distilled): void {
  const [a, b] = [lossesOf(one.out), lossesOf(other.out)]
  expect(a).toHaveLength(2)
  for (const [epoch, loss] of a.entries()) expect(Math.abs(loss / b[epoch]! - 1)).toBeLessThan(1e-4)
}

type Builder = ReturnType<typeof builder>

function model(logits: (b: Builder) => string): Model {
  const b = builder()
  b.input('input', 'float32', ['N', 784])
  b.op('Identity', [logits(b)], {}, { outputs: ['logits'] })
  b.output('logits', 'float32', ['N', 10])
  return {
    irVersion: 8,
    opsets: new Map([['', 17]]),
    producer: 'test',
    graph: b.graph(),
    metadata: new Map(),
    functions: [],
  }
}

function meanOf(b: Builder, each: (z: string) => string): string {
  const parts = weights.map((w, i) => each(b.op('MatMul', ['input', b.initializer(`w${i}`, w)])))
  return b.op('Mul', [b.op('Add', parts), b.scalar(1 / parts.length)])
}

/** T · log mean softmax(z / T) */
function arithmeticAt(b: Builder, t: number): string {
  const mean = meanOf(b, (z) => b.op('Softmax', [b.op('Mul', [z, b.scalar(1 / t)])], { axis: -1 }))
  return b.op('Mul', [b.op('Log', [mean]), b.scalar(t)])
}

function linearWeights(seed: number): Tensor<'float32'> {
  const random = rng(seed)
  return tensor(
    'float32',
    [784, 10],
    Float32Array.from({ length: 7840 }, () => 0.3 * random.normal()),
  )
}
