import { existsSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { builder, encode, type Graph, type Model, mlp, readModel, writeModel } from '@imago/onnx'
import { rng } from '@imago/tensor'
import { beforeAll, describe, expect, it } from 'vitest'
import { folder, imago, type Ran, writeDigits } from './imago.js'

/** Every bad input: one sentence that says what is wrong and what to do, an exit code, and nothing half written. */
const work = folder()
const at = (name: string): string => join(work, name)
const quick = ['--arch', 'mlp:784-8-10', '--data', 'digits', '--epochs', '1', '--quiet']

beforeAll(async () => {
  writeDigits(at('digits'))
  await writeModel(at('teacher.onnx'), mlp([784, 16, 10], { rng: rng(1) }))
  await writeModel(at('twelve.onnx'), mlp([784, 16, 12], { rng: rng(1) }))
  writeFileSync(at('empty.onnx'), '')
  writeFileSync(at('page.onnx'), '<!doctype html><title>404</title>')
  const whole = encode(await readModel(at('teacher.onnx')))
  writeFileSync(at('cut.onnx'), whole.subarray(0, whole.length - 100))
  writeFileSync(at('hard.onnx'), encode(withoutRule()))
  writeFileSync(at('circle.onnx'), encode(around(circle())))
  writeFileSync(at('poison.onnx'), encode(around(poisonous())))
  mkdirSync(at('foreign'))
  writeFileSync(at('foreign/thesis.txt'), 'not a run')
  mkdirSync(at('idx'))
  writeFileSync(
    at('idx/train-images-idx3-ubyte'),
    Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28, 1, 2, 3),
  )
  writeFileSync(at('idx/train-labels-idx1-ubyte'), Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 3, 4))
  await writeModel(at('five.onnx'), mlp([784, 16, 5], { rng: rng(1) }))
  writeDigits(at('unlabelled'))
  for (const part of ['train', 't10k']) rmSync(at(`unlabelled/${part}-labels-idx1-ubyte`))
  for (const [name, options] of Object.entries(configs)) writeFileSync(at(`${name}.json`), JSON.stringify(options))
})

const configs = {
  misspelt: { epoch: 3 },
  fraction: { epochs: 0.5 },
  'no-list': { rate: true },
  'no-switch': { json: 'yes' },
  'no-folder': { arch: 'mlp:784-8-10', data: 'digits' },
}

describe('bad input', () => {
  it.each([
    ['a missing teacher', ['distill', '--teacher', 'nowhere.onnx', ...quick, '--out', 'run'], /nowhere\.onnx/],
    ['an empty teacher', ['distill', '--teacher', 'empty.onnx', ...quick, '--out', 'run'], /empty/],
    ['a web page as teacher', ['distill', '--teacher', 'page.onnx', ...quick, '--out', 'run'], /HTML/i],
    ['a teacher cut short', ['distill', '--teacher', 'cut.onnx', ...quick, '--out', 'run'], /cut\.onnx/],
    ['a missing student', ['train', '--student', 'nowhere.onnx', '--data', 'digits', '--out', 'run'], /nowhere\.onnx/],
    ['a student without a gradient', ['train', '--student', 'hard.onnx', '--data', 'digits', '--out', 'run'], /Det/],
    ['classes that differ', ['distill', '--teacher', 'twelve.onnx', ...quick, '--out', 'run'], /12.*10|10.*12/],
    ['missing data', ['train', ...quick, '--data', 'nowhere.npz', '--out', 'run'], /nowhere\.npz/],
    ['data cut short', ['train', ...quick, '--data', 'idx', '--out', 'run'], /train-images-idx3-ubyte/],
    [
      'labels beyond the student',
      ['train', '--student', 'five.onnx', '--data', 'digits', '--out', 'run'],
      /classes 0 … 4, as many as the student has .*row \d+.*got [5-9]/,
    ],
    [
      'labels beyond teacher and student',
      ['distill', '--teacher', 'five.onnx', '--student', 'five.onnx', '--data', 'digits', '--out', 'run'],
      /classes 0 … 4/,
    ],
    ['no labels to learn from', ['train', ...quick, '--data', 'unlabelled', '--out', 'run'], /no labels|has none/],
    [
      'no labels to hold out',
      ['distill', '--teacher', 'teacher.onnx', ...quick, '--data', 'unlabelled', '--validation', '10', '--out', 'run'],
      /--validation.*no labels/,
    ],
    ['no labels to count errors by', ['evaluate', 'teacher.onnx', '--data', 'unlabelled'], /no labels/],
    ['nodes in a circle', ['inspect', 'circle.onnx'], /in a circle/],
    ['a teacher whose nodes go in a circle', ['evaluate', 'circle.onnx', '--data', 'digits'], /in a circle/],
    ['an output folder that is a file', ['train', ...quick, '--out', 'page.onnx'], /page\.onnx.*[Cc]hoose/],
    ['an unknown option in a config file', ['train', ...quick, '--out', 'run', '--config', 'misspelt.json'], /epoch/],
    [
      'half an epoch in a config file',
      ['train', '--arch', 'mlp:784-8-10', '--data', 'digits', '--out', 'run', '--config', 'fraction.json'],
      /fraction\.json: epochs.*whole number/,
    ],
    [
      'a switch for a value in a config file',
      ['train', ...quick, '--out', 'run', '--config', 'no-list.json'],
      /rate.*value/,
    ],
    [
      'a value for a switch in a config file',
      ['train', ...quick, '--out', 'run', '--config', 'no-switch.json'],
      /json.*true or false/,
    ],
    [
      'no output folder, neither here nor in the config file',
      ['train', '--config', 'no-folder.json'],
      /--out <folder>.*config/,
    ],
    ['an output folder that is something else', ['train', ...quick, '--out', 'foreign'], /thesis\.txt/],
    ['a recipe that is none', ['paper', 'hinton-1915/mnist'], /hinton-2015\/mnist/],
    ['an option that the recipe does not read', ['paper', 'ba-caruana-2014', '--omit', '3'], /--omit has no part/],
    ['a recipe without its data', ['paper', 'hinton-2015/speech', '--fast'], /fsdd\/utterances/],
    ['specialists without their data', ['paper', 'hinton-2015/specialists', '--fast'], /emnist-byclass\/classes/],
    [
      'a folder without the data of the recipe',
      ['paper', 'bucila-2006', '--fast', '--data-dir', 'nowhere'],
      /no adult\/adult\.data\.gz in nowhere/,
    ],
    ['a problem that the recipe does not have', ['paper', 'bucila-2006', '--problems', 'medis'], /adult, covtype/],
    ['data that the recipe does not know', ['paper', 'ba-caruana-2014', '--data', 'letter'], /fsdd, mnist/],
    [
      'an option that has no part in the run',
      ['paper', 'hinton-2015/mnist', '--omit', '3', '--optimizer', 'sgd'],
      /optimizer has no part/,
    ],
    [
      'an architecture that is none',
      ['train', '--arch', 'mlp:ten', '--data', 'digits', '--out', 'run'],
      /mlp:784-800-800-10/,
    ],
    [
      'two students',
      ['train', '--student', 'teacher.onnx', '--arch', 'lenet5', '--data', 'digits', '--out', 'run'],
      /--student.*--arch/,
    ],
  ])('%s', (_, args, said) => {
    const ran = imago(args, work)
    expect(ran.status, ran.stderr).toBe(1)
    expectSentence(ran, said)
    expect(existsSync(at('run'))).toBe(false)
    expect(readdirSync(at('foreign'))).toEqual(['thesis.txt'])
  })

  it.each([
    [
      'T = 0',
      ['distill', '--teacher', 'teacher.onnx', ...quick, '--out', 'run', '--temperature', '0'],
      /--temperature.*> 0/,
    ],
    [
      'T that is no number',
      ['distill', '--teacher', 'teacher.onnx', ...quick, '--out', 'run', '--temperature', 'warm'],
      /--temperature/,
    ],
    [
      'a share above 1',
      ['distill', '--teacher', 'teacher.onnx', ...quick, '--out', 'run', '--hard-weight', '1.5'],
      /--hard-weight/,
    ],
    ['a broken pattern', ['train', ...quick, '--out', 'run', '--freeze', '('], /--freeze.*regular expression/],
    ['a momentum of 1', ['train', ...quick, '--out', 'run', '--momentum', '1'], /--momentum.*< 1/],
    ['half an epoch', ['train', ...quick, '--out', 'run', '--epochs', '0.5'], /--epochs.*whole number/],
    ['no output folder', ['train', ...quick], /--out/],
    ['an empty word in a list', ['paper', 'hinton-2015/speech', '--splits', 'official,'], /--splits/],
    ['an unknown command', ['distil'], /distill/],
    ['an unknown option', ['train', ...quick, '--out', 'run', '--epoch', '3'], /--epoch/],
  ])('%s on the command line', (_, args, said) => {
    const ran = imago(args, work)
    expect(ran.status).toBe(2)
    expect(ran.stderr).toMatch(said)
    expect(existsSync(at('run'))).toBe(false)
  })

  it('names that steer terminals or poison objects are shown as text', () => {
    const shown = imago(['inspect', 'poison.onnx', '--train'], work)
    expect(shown.status, shown.stderr).toBe(0)
    expect(shown.stdout).toContain('\\u001b[2J')
    expect(shown.stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    const { ops, outputs } = JSON.parse(imago(['inspect', 'poison.onnx', '--json'], work).stdout)
    expect(Object.entries(ops)).toEqual([
      ['constructor', 2],
      ['__proto__', 1],
    ])
    expect(outputs[0]).toContain('\u001b[2J\u202e')
  })

  it.each(['sgd', 'adamw'])('max-norm of %s where weights are frozen', (optimizer) => {
    const held = ['--optimizer', optimizer, '--rate', '0.01', '--max-squared-norm', '15', '--freeze', '^fc1']
    const ran = imago(['train', ...quick, ...held, '--out', `held by ${optimizer}`], work)
    expect(ran.status, ran.stderr).toBe(0)
  })

  it('a run folder of another run, and a corrupt checkpoint', () => {
    const first = imago(['train', ...quick, '--out', 'mine'], work)
    expect(first.status, first.stderr).toBe(0)
    const other = imago(['train', ...quick, '--seed', '7', '--out', 'mine'], work)
    expect(other.status).toBe(1)
    expectSentence(other, /seed/)
    for (const name of readdirSync(at('mine')).filter((file) => file.startsWith('checkpoint')))
      truncateSync(at(`mine/${name}`), 64)
    const corrupt = imago(['train', ...quick, '--out', 'mine'], work)
    expect(corrupt.status).toBe(1)
    expectSentence(corrupt, /checkpoint/)
  })
})

/** One line, no stack. */
function expectSentence(ran: Ran, said: RegExp): void {
  const lines = ran.stderr
    .trim()
    .split('\n')
    .filter((line) => line.startsWith('imago: '))
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(said)
  expect(lines[0]).not.toMatch(/imago: imago:/)
  expect(ran.stderr).not.toMatch(/\n\s+at /)
  expect(ran.stdout).toBe('')
}

/** A classifier whose way from weight to output passes a Det, which has no gradient rule. */
function withoutRule(): Model {
  const b = builder()
  b.input('input', 'float32', ['N', 784])
  b.initializer('w', { type: 'float32', dims: [784, 40], data: new Float32Array(784 * 40).fill(0.01) })
  const square = b.op('Reshape', [b.op('MatMul', ['input', 'w']), b.ints([-1, 10, 2, 2])])
  b.op('Det', [square], {}, { outputs: ['logits'] })
  b.output('logits', 'float32', ['N', 10])
  return around(b.graph())
}

function circle(): Graph {
  const b = builder()
  b.input('input', 'float32', ['N', 784])
  b.op('Identity', ['b'], {}, { outputs: ['a'] })
  b.op('Identity', ['a'], {}, { outputs: ['b'] })
  b.output('b', 'float32', ['N', 10])
  return b.graph()
}

function poisonous(): Graph {
  const b = builder()
  const x = b.input('__proto__', 'float32', ['N'])
  const y = b.op('constructor', [b.op('constructor', [x], {}, { domain: 'own' })], {}, { domain: 'own' })
  b.op('__proto__', [y], {}, { domain: 'own', outputs: ['\u001b[2J\u202e'] })
  b.output('\u001b[2J\u202e')
  return b.graph()
}

function around(graph: Graph): Model {
  return {
    irVersion: 8,
    opsets: new Map([
      ['', 17],
      ['own', 1],
    ]),
    producer: 'test',
    graph,
    metadata: new Map(),
    functions: [],
  }
}
