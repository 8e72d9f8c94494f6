import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decode, mlp, writeModel } from '@imago/onnx'
import { rng } from '@imago/tensor'
import { beforeAll, describe, expect, it } from 'vitest'
import { folder, imago, type Ran, startImago, writeDigits } from './imago.js'

const work = folder()
const common = ['--data', 'digits', '--quiet', '--threads', '1']
const student = ['--arch', 'mlp:784-8-10', '--epochs', '2', '--temperature', '4', '--json', ...common]

beforeAll(async () => {
  writeDigits(join(work, 'digits'))
  await writeModel(join(work, 'teacher.onnx'), mlp([784, 16, 10], { rng: rng(1) }))
  await writeModel(join(work, 'other.onnx'), mlp([784, 16, 10], { rng: rng(2) }))
})

const teach = (...args: string[]): Ran => imago(['teach', ...common, ...args], work)
const distil = (...args: string[]): Ran => imago(['distill', ...student, ...args], work)
const files = (name: string): string[] =>
  readdirSync(join(work, name))
    .sort()
    .map((file) => `${file} ${readFileSync(join(work, name, file)).toString('base64')}`)

describe('imago teach', () => {
  it('writes a store that distils as its teacher does, on a machine without the teacher', () => {
    const taught = teach('--teacher', 'teacher.onnx', '--type', 'float32', '--out', 'exact', '--json')
    expect(taught.status, taught.stderr).toBe(0)
    const { rows, classes, bytesPerRow, written } = JSON.parse(taught.stdout)
    expect([rows, classes, written]).toEqual([400, 10, 400])
    expect(bytesPerRow).toBeGreaterThan(44)
    expect(bytesPerRow).toBeLessThan(48)
    const live = distil('--teacher', 'teacher.onnx', '--out', 'live')
    expect(live.status, live.stderr).toBe(0)
    renameSync(join(work, 'teacher.onnx'), join(work, 'away.onnx'))
    const stored = distil('--targets', 'exact', '--out', 'stored')
    renameSync(join(work, 'away.onnx'), join(work, 'teacher.onnx'))
    expect(stored.status, stored.stderr).toBe(0)
    expect(JSON.parse(stored.stdout).student).toEqual(JSON.parse(live.stdout).student)
    const [one, other] = ['stored', 'live'].map((run) => decode(readFileSync(join(work, run, 'student.onnx'))))
    expect(one!.graph).toEqual(other!.graph)
    expect(one!.metadata.get('imago.teacher')).toBe(other!.metadata.get('imago.teacher'))
    // The teacher, where it is there, is held against the store and counted.
    const both = distil('--targets', 'exact', '--teacher', 'teacher.onnx', '--out', 'both')
    expect(JSON.parse(both.stdout).teacher).toEqual(JSON.parse(live.stdout).teacher)
  })

  it('keeps k classes, exact and compact, also from a store of full logits', () => {
    expect(teach('--teacher', 'teacher.onnx', '--out', 'full').status).toBe(0)
    const few = teach('--from', 'full', '--keep', 'top-k', '--k', '3', '--temperature', '1,4', '--out', 'few', '--json')
    expect(few.status, few.stderr).toBe(0)
    expect(JSON.parse(few.stdout).encoding).toEqual({ kind: 'top-k', k: 3, values: 'float16', temperatures: [1, 4] })
    const small = teach(
      '--teacher',
      'teacher.onnx',
      '--keep',
      'compact',
      '--k',
      '3',
      '--temperature',
      '4',
      '--out',
      'small',
    )
    expect(small.stdout).toMatch(/cost .*T²·KL ≤ \d\.\de-\d/)
    for (const store of ['few', 'small']) {
      const ran = distil('--targets', store, '--hard-weight', '0.5', '--out', `from-${store}`)
      expect(ran.status, ran.stderr).toBe(0)
      expect(JSON.parse(ran.stdout).student.rows).toBe(200)
    }
    const other = distil('--targets', 'few', '--temperature', '2', '--out', 'never')
    expect(other.status).toBe(1)
    expect(other.stderr).toMatch(/T = 2.*T = 1, 4 only/)
  })

  it('goes on after Ctrl-C, and ends as the undisturbed one to the last bit', async () => {
    const args = [
      'teach',
      '--data',
      'digits',
      '--threads',
      '1',
      '--teacher',
      'teacher.onnx',
      '--jitter',
      '2',
      '--views',
      '40',
    ]
    const whole = imago([...args, '--quiet', '--out', 'whole'], work)
    expect(whole.status, whole.stderr).toBe(0)
    const stopped = await startImago([...args, '--out', 'stopped', '--batch', '256'], work, /teacher outputs/, 'SIGINT')
    expect(stopped.status, stopped.stderr).toBe(130)
    const resumed = imago([...args, '--out', 'stopped'], work)
    expect(resumed.status, resumed.stderr).toBe(0)
    expect(resumed.stderr).toMatch(/going on after row \d+/)
    expect(files('stopped')).toEqual(files('whole'))
    const learnt = distil('--targets', 'whole', '--jitter', '2', '--views', '40', '--epochs', '1', '--out', 'viewed')
    expect(learnt.status, learnt.stderr).toBe(0)
    const others = distil('--targets', 'whole', '--jitter', '2', '--views', '40', '--seed', '2', '--out', 'never')
    expect(others.stderr).toMatch(/not those that its teacher saw/)
  })

  it('several stores are an ensemble, as several teachers are', () => {
    for (const name of ['teacher', 'other'])
      expect(teach('--teacher', `${name}.onnx`, '--type', 'float32', '--out', `of-${name}`).status).toBe(0)
    const live = distil('--teacher', 'teacher.onnx,other.onnx', '--combine', 'arithmetic', '--out', 'live-two')
    const stored = distil('--targets', 'of-teacher,of-other', '--combine', 'arithmetic', '--out', 'stored-two')
    expect(stored.status, stored.stderr).toBe(0)
    expect(JSON.parse(stored.stdout).student).toEqual(JSON.parse(live.stdout).student)
    const mean = [
      '--teacher',
      'teacher.onnx,other.onnx',
      '--combine',
      'arithmetic',
      '--type',
      'float32',
      '--out',
      'mean',
    ]
    expect(teach(...mean).stderr).toMatch(/--temperature" must be one, with --combine arithmetic/)
    expect(teach(...mean, '--temperature', '4').status).toBe(0)
    const one = distil('--targets', 'mean', '--out', 'one')
    expect(JSON.parse(one.stdout).student).toEqual(JSON.parse(live.stdout).student)
    expect(distil('--targets', 'mean', '--temperature', '1', '--out', 'never').stderr).toMatch(
      /a mean of distributions at T = 4 only/,
    )
  })
})

describe('is refused with a sentence, and nothing written', () => {
  beforeAll(() => {
    teach('--teacher', 'teacher.onnx', '--out', 'base')
    writeDigits(join(work, 'blank'))
    const path = join(work, 'blank/train-images-idx3-ubyte')
    const bytes = readFileSync(path)
    bytes[16 + 784 * 5 + 300]! ^= 255
    writeFileSync(path, bytes)
  })

  it.each<[string, string[], RegExp]>([
    ['no teacher and no store', ['distill', ...student, '--out', 'x'], /no teacher.*--targets/],
    [
      'a store that is none',
      ['distill', ...student, '--targets', 'digits', '--out', 'x'],
      /no store of soft targets at digits/,
    ],
    ['augmentation', ['distill', ...student, '--targets', 'base', '--jitter', '1', '--out', 'x'], /--jitter.*--views/],
    [
      'views of another store',
      ['distill', ...student, '--targets', 'base', '--jitter', '1', '--views', '2', '--out', 'x'],
      /base.*(not those that its teacher saw|no targets for row)/,
    ],
    [
      'a student of other classes',
      ['distill', ...student, '--targets', 'base', '--arch', 'mlp:784-9', '--out', 'x'],
      /classes/,
    ],
    [
      'another teacher',
      ['distill', ...student, '--targets', 'base', '--teacher', 'other.onnx', '--out', 'x'],
      /the teacher: .* there, .* here.*stale/,
    ],
    ['neither teacher nor store to teach from', ['teach', ...common, '--out', 'x'], /exactly one of the two/],
    [
      'a tail without temperature',
      ['teach', ...common, '--teacher', 'teacher.onnx', '--keep', 'top-k', '--k', '3', '--out', 'x'],
      /--temperature/,
    ],
    [
      'k above the classes',
      ['teach', ...common, '--teacher', 'teacher.onnx', '--keep', 'top-k', '--temperature', '1', '--out', 'x'],
      /encoding\.k.*\[1, 10\]/,
    ],
    ['moving images', ['teach', ...common, '--teacher', 'teacher.onnx', '--jitter', '2', '--out', 'x'], /--views/],
    [
      'a folder of other files',
      ['teach', ...common, '--teacher', 'teacher.onnx', '--out', 'digits'],
      /holds files that are no store/,
    ],
    [
      'the store of another teacher',
      ['teach', ...common, '--teacher', 'other.onnx', '--out', 'base'],
      /holds other targets \(the teacher/,
    ],
  ])('%s', (_, args, message) => {
    const before = files('base')
    const { status, stderr, stdout } = imago(args, work)
    expect(status).toBe(1)
    expect(stdout).toBe('')
    expect(stderr.trim()).toMatch(message)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(existsSync(join(work, 'x'))).toBe(false)
    expect(files('base')).toEqual(before)
  })

  it('one pixel of one row that changed', () => {
    const ran = imago(
      ['distill', ...student, '--data', 'blank', '--batch', '400', '--targets', 'base', '--out', 'x'],
      work,
    )
    expect(ran.status).toBe(1)
    expect(ran.stderr).toMatch(
      /inputs of row 5 are not those that its teacher saw \(of this batch 1 of 400 rows differ\)/,
    )
    expect(existsSync(join(work, 'x'))).toBe(false)
  })

  it('a store with a bit flipped', () => {
    const path = join(work, 'base/shard-000000.bin')
    const bytes = readFileSync(path)
    bytes[5000]! ^= 4
    writeFileSync(path, bytes)
    const ran = distil('--targets', 'base', '--batch', '400', '--out', 'x')
    expect(ran.status).toBe(1)
    expect(ran.stderr).toMatch(/shard-000000\.bin: row \d+ \(id \d+\) is damaged/)
    bytes[5000]! ^= 4
    writeFileSync(path, bytes)
    rmSync(join(work, 'x'), { recursive: true, force: true })
  })
})
