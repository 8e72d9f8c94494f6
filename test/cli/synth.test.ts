import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readCsv } from '@imago/data'
import { mlp, writeModel } from '@imago/onnx'
import { rng } from '@imago/tensor'
import { beforeAll, describe, expect, it } from 'vitest'
import { folder, imago, type Ran, startImago } from './imago.js'

const work = folder()
const run = (...args: string[]): Ran => imago(args, work)

/** Two numbers and a word; the class is where x + y is, but for some noise, and what the word says. */
function rows(seed: number, count: number): string {
  const random = rng(seed)
  const lines = Array.from({ length: count }, () => {
    const [x, y] = [random.normal(), random.normal()]
    const word = ['red', 'green', 'blue'][random.integer(3)]!
    const positive = x + y + (word === 'red' ? 1 : -0.5) + 0.3 * random.normal() > 0
    return `${x.toFixed(4)},${y.toFixed(4)},${word},${positive ? 'yes' : 'no'}`
  })
  return `x,y,colour,class\n${lines.join('\n')}\n`
}

const table = ['--data', 'train.csv,test.csv', '--label', 'class']
const quick = ['--threads', '1', '--quiet', '--json']

beforeAll(() => {
  writeFileSync(join(work, 'train.csv'), rows(1, 400))
  writeFileSync(join(work, 'test.csv'), rows(2, 300))
  writeFileSync(join(work, 'bad.csv'), 'x,y,colour,class\n1,2,pink,yes\n')
  writeFileSync(join(work, 'ragged.csv'), 'x,y,colour,class\n1,2,red,yes\n1,2,red\n')
})

describe('imago synth', () => {
  it.each(['munge', 'random', 'nbe'])('%s writes rows that the schema beside them describes', async (method) => {
    const out = `${method}.csv`
    const made = run(
      'synth',
      method,
      '--data',
      'train.csv',
      '--label',
      'class',
      '--rows',
      '1000',
      '--out',
      out,
      '--json',
    )
    expect(made.status, made.stderr).toBe(0)
    expect(JSON.parse(made.stdout)).toMatchObject({ method, rows: 1000, columns: 3, from: 400 })
    const found = await readCsv(join(work, out), {
      schema: JSON.parse(readFileSync(join(work, `${method}.schema.json`), 'utf8')),
    })
    expect(found.length).toBe(1000)
    const before = readFileSync(join(work, out))
    expect(run('synth', method, '--data', 'train.csv', '--label', 'class', '--rows', '1000', '--out', out).status).toBe(
      0,
    )
    expect(readFileSync(join(work, out))).toEqual(before)
  })

  it.each([
    [['synth', 'dream', '--data', 'train.csv', '--rows', '1', '--out', 'x.csv'], /munge, random, nbe/],
    [['synth', 'nbe', '--data', 'train.csv', '--rows', '1', '--probability', '0.5', '--out', 'x.csv'], /--probability/],
    [['synth', 'munge', '--data', 'train.csv', '--rows', '1', '--out', 'train.csv'], /another file/],
    [
      ['synth', 'munge', '--data', 'train.csv', '--label', 'klass', '--rows', '1', '--out', 'x.csv'],
      /no column "klass"/,
    ],
    [['synth', 'munge', '--data', 'ragged.csv', '--rows', '1', '--out', 'x.csv'], /ragged\.csv:3:5: 3 cells/],
    [['synth', 'munge', '--data', 'train.csv', '--rows', '0', '--out', 'x.csv'], /whole number/],
    [['synth', 'munge', '--data', 'train.csv', '--rows', '1', '--probability', '2', '--out', 'x.csv'], /≤ 1/],
    [['synth', 'munge', '--data', 'nowhere.csv', '--rows', '1', '--out', 'x.csv'], /There is no file/],
    [['synth', 'munge', '--data', 'train.csv', '--rows', '1', '--out', 'no/where/x.csv'], /no\/where/],
  ])('%j is refused in a sentence, and writes nothing', (args, message) => {
    const before = readdirSync(work).sort()
    const ran = run(...args)
    expect(ran.status).not.toBe(0)
    expect(ran.stderr).toMatch(message)
    expect(ran.stderr).not.toMatch(/\n\s+at /)
    expect(readdirSync(work).sort()).toEqual(before)
  })

  it('a signal leaves no part of a file', async () => {
    const own = folder()
    writeFileSync(join(own, 'train.csv'), rows(1, 400))
    const args = ['synth', 'munge', '--data', 'train.csv', '--rows', '50000000', '--out', 'huge.csv']
    const { status } = await startImago(args, own, /rows \d+\/50000000/, 'SIGINT')
    expect(status).toBe(130)
    expect(readdirSync(own)).toEqual(['train.csv'])
  })
})

describe('a student of a table', () => {
  it('is trained, chosen, and distilled with unlabelled rows; its encoder lies beside it', () => {
    for (const seed of ['1', '2', '3']) {
      const hidden = seed === '3' ? '2' : '16'
      const args = [
        '--arch',
        `mlp:5-${hidden}-2`,
        '--epochs',
        '12',
        '--rate',
        '0.01',
        '--batch',
        '20',
        '--validation',
        '80',
        '--seed',
        seed,
      ]
      const ran = run('train', ...table, ...args, '--out', `t${seed}`, ...quick)
      expect(ran.status, ran.stderr).toBe(0)
      const { student, files } = JSON.parse(ran.stdout)
      expect(student.rows).toBe(300)
      // By chance it would be 150.
      expect(student.errors).toBeLessThan(60)
      expect(files.encoder).toBe('t1/encoder.json'.replace('1', seed))
    }
    const members = 't1/student.onnx,t2/student.onnx,t3/student.onnx'
    const one = ['--encoder', 't1/encoder.json']
    const chosen = run(
      'ensemble',
      'select',
      '--members',
      members,
      ...table,
      ...one,
      '--validation',
      '80',
      '--metric',
      'rmse',
      '--out',
      'ensemble.json',
      ...quick,
    )
    expect(chosen.status, chosen.stderr).toBe(0)
    const result = JSON.parse(chosen.stdout)
    expect(JSON.parse(readFileSync(join(work, 'ensemble.json'), 'utf8'))).toEqual(result)
    expect(result.members.reduce((sum: number, { weight }: { weight: number }) => sum + weight, 0)).toBeCloseTo(1, 10)
    expect(result.score).toBeLessThanOrEqual(Math.min(...result.members.map(({ alone }: { alone: number }) => alone)))
    expect(result.test.errors).toBeLessThan(60)
    const common = [
      ...table,
      ...one,
      '--arch',
      'mlp:5-8-2',
      '--epochs',
      '4',
      '--rate',
      '0.01',
      '--temperature',
      '1',
      ...quick,
    ]
    const mimic = run(
      'distill',
      '--teacher',
      'ensemble.json',
      '--transfer',
      'munge.csv',
      '--loss',
      'squared-probabilities',
      ...common,
      '--out',
      'mimic',
    )
    expect(mimic.status, mimic.stderr).toBe(0)
    expect(JSON.parse(mimic.stdout).agreement).toBeGreaterThan(0.85)
    const evaluated = run('evaluate', 'mimic/student.onnx', ...table, '--encoder', 'mimic/encoder.json', '--json')
    expect(JSON.parse(evaluated.stdout).errors).toBe(JSON.parse(mimic.stdout).student.errors)
    // The members that count, one by one, are another ensemble; another file in a member's place is refused.
    writeFileSync(
      join(work, 'false.json'),
      JSON.stringify({
        ...result,
        members: result.members.map((m: object, i: number) => ({ ...m, file: `t${((i + 1) % 3) + 1}/student.onnx` })),
      }),
    )
    const wrong = run('distill', '--teacher', 'false.json', ...common, '--out', 'wrong')
    expect(wrong.status).toBe(1)
    expect(wrong.stderr).toMatch(/is not the model that false\.json was chosen from/)
    expect(existsSync(join(work, 'wrong'))).toBe(false)
  }, 120_000)

  it('bad tables and libraries are refused in a sentence', async () => {
    await writeModel(join(work, 'three.onnx'), mlp([5, 4, 3], { rng: rng(1) }))
    await writeModel(join(work, 'two.onnx'), mlp([5, 4, 2], { rng: rng(1) }))
    const select = ['ensemble', 'select', '--validation', '50', '--out', 'e.json', '--threads', '1']
    const arch = ['--arch', 'mlp:5-4-2', '--out', 'never', ...quick]
    for (const [args, message] of [
      [[...select, '--members', 'two.onnx', ...table], /two or more files/],
      [[...select, '--members', 'two.onnx,three.onnx', ...table], /three\.onnx/],
      [[...select, '--members', 'two.onnx,,three.onnx', ...table], /comma/],
      [[...select, '--members', 'two.onnx,gone.onnx', ...table], /gone\.onnx/],
      [['ensemble', 'dream', '--members', 'a,b', '--out', 'e.json'], /There is select/],
      [
        ['train', '--data', 'train.csv,bad.csv', '--label', 'class', ...arch],
        /bad\.csv:2:5: "pink".*none of the 3 values/,
      ],
      [['train', '--data', 'ragged.csv', '--label', 'class', ...arch], /ragged\.csv:3:5/],
      [['train', '--data', 'train.csv', '--label', 'klass', ...arch], /no column "klass"/],
      [['train', '--data', 'embedded', '--label', 'class', ...arch], /--label.*no \.csv/],
      [['train', '--data', 'train.csv,test.csv,bad.csv', '--label', 'class', ...arch], /TRAIN\.csv,TEST\.csv/],
      [['train', ...table, '--encoder', 'train.csv', ...arch], /train\.csv: is not JSON/],
      [['distill', '--teacher', 'train.json', ...table, ...arch], /train\.json/],
      [
        [
          'distill',
          '--teacher',
          'two.onnx',
          '--loss',
          'squared-probabilities',
          '--hard-weight',
          '0.5',
          ...table,
          ...arch,
        ],
        /--hard-weight/,
      ],
    ] as const) {
      const ran = run(...args)
      expect(ran.status, args.join(' ')).not.toBe(0)
      expect(ran.stderr).toMatch(message)
      expect(ran.stderr, ran.stderr).not.toMatch(/\n\s+at /)
    }
    expect(existsSync(join(work, 'never'))).toBe(false)
    expect(existsSync(join(work, 'e.json'))).toBe(false)
  }, 120_000)
})
