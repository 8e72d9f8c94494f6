import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mlp, readModel, writeModel } from '@imago/onnx'
import { rng } from '@imago/tensor'
import { beforeAll, describe, expect, it } from 'vitest'
import { folder, imago, writeDigits } from './imago.js'

const golden = fileURLToPath(new URL('../golden/import/', import.meta.url))
const work = folder()
const run = (...args: string[]): ReturnType<typeof imago> => imago(args, work)

beforeAll(async () => {
  writeDigits(join(work, 'digits'))
  await writeModel(join(work, 'teacher.onnx'), mlp([784, 16, 10], { rng: rng(1) }))
})

describe('what a trained student says of itself', () => {
  it('who taught it, how, how well, and its licence; export keeps that and adds what it did', async () => {
    const options = ['--arch', 'mlp:784-8-10', '--data', 'digits', '--epochs', '1', '--license', 'Apache-2.0']
    const trained = run('distill', '--teacher', 'teacher.onnx', ...options, '--quiet', '--json', '--out', 'run')
    expect(trained.status, trained.stderr).toBe(0)
    const { metadata } = JSON.parse(run('inspect', 'run/student.onnx', '--json').stdout)
    expect(metadata['imago.teacher']).toMatch(/^[0-9a-f]{64}$/)
    expect(JSON.parse(metadata['imago.recipe'])).toMatchObject({ temperature: 4, epochs: 1, data: 'digits' })
    const { student, agreement } = JSON.parse(trained.stdout)
    expect(JSON.parse(metadata['imago.metrics'])).toMatchObject({ student, agreement })
    expect(metadata.license).toBe('Apache-2.0')

    const exported = run('export', 'run/student.onnx', '--fp16', '--out', 'small.onnx', '--json')
    expect(exported.status, exported.stderr).toBe(0)
    const { bytes, difference } = JSON.parse(exported.stdout)
    expect(bytes.after).toBe(statSync(join(work, 'small.onnx')).size)
    expect(bytes.after).toBeLessThan(0.6 * bytes.before)
    expect(difference.relative).toBeLessThan(1e-3)
    const small = await readModel(join(work, 'small.onnx'))
    expect(Object.fromEntries(small.metadata)).toMatchObject(metadata)
    expect(JSON.parse(small.metadata.get('imago.export')!)).toMatchObject({ fp16: true, optimize: false })
    const shown = run('inspect', 'small.onnx').stdout
    expect(shown).toMatch(/license +Apache-2\.0/)
    const [before, after] = ['run/student.onnx', 'small.onnx'].map(
      (file) => JSON.parse(run('evaluate', file, '--data', 'digits', '--json').stdout).crossEntropy as number,
    )
    expect(after).not.toBe(before)
    expect(Math.abs(after! - before!)).toBeLessThan(1e-3)
  })
})

describe('imago export', () => {
  it('folds, says so, and writes what another machine reads', async () => {
    const ran = run('export', join(golden, 'plain.onnx'), '--optimize', '--out', 'plain.onnx')
    expect(ran.status, ran.stderr).toBe(0)
    expect(ran.stdout).toMatch(/2 BatchNormalization are in the weights/)
    const { graph } = await readModel(join(work, 'plain.onnx'))
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Conv', 'Relu', 'Conv', 'Relu', 'ReduceMean', 'Gemm'])
  })

  it.each([
    ['nothing to do', ['--out', 'x.onnx'], /--fp16, --optimize.*at least one/],
    ['its own file', ['--fp16', '--out', 'teacher.onnx'], /--out.*another file/],
    ['an unknown dim', ['--fp16', '--dims', 'Q=3', '--out', 'x.onnx'], /"dims".*"Q"/],
    ['sizes that are none', ['--fp16', '--dims', 'Q', '--out', 'x.onnx'], /N=2,T=16/],
    ['a folder that is not there', ['--fp16', '--out', 'no/where.onnx'], /no\/where\.onnx cannot be written/],
  ])('%s: refused in a sentence, nothing written', (_what, args, message) => {
    const before = readdirSync(work)
    const { status, stderr } = run('export', 'teacher.onnx', ...args)
    expect(status).not.toBe(0)
    expect(stderr).toMatch(message)
    expect(readdirSync(work)).toEqual(before)
    expect(existsSync(join(work, 'x.onnx'))).toBe(false)
  })
})
