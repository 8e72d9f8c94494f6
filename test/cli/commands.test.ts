import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mlp, readModel, writeModel } from '@imago/onnx'
import { rng } from '@imago/tensor'
import { beforeAll, describe, expect, it } from 'vitest'
import { folder, imago, startImago, writeDigits } from './imago.js'

const work = folder()
const quick = ['--arch', 'mlp:784-8-10', '--data', 'digits', '--epochs', '2', '--quiet', '--threads', '1']

beforeAll(async () => {
  writeDigits(join(work, 'digits'))
  await writeModel(join(work, 'teacher.onnx'), mlp([784, 16, 10], { rng: rng(1) }))
})

describe('imago', () => {
  it('helps, with examples, for every command', () => {
    const help = imago(['--help'])
    expect(help.status).toBe(0)
    for (const command of [
      'demo',
      'train',
      'synth',
      'ensemble',
      'teach',
      'distill',
      'evaluate',
      'inspect',
      'doctor',
      'paper',
    ]) {
      expect(help.stdout).toContain(command)
      const own = imago([command, '--help'])
      expect(own.status).toBe(0)
      expect(own.stdout).toMatch(/Examples:\n {2}imago /)
    }
  })

  it('trains, evaluates and inspects', () => {
    const trained = imago(
      ['train', ...quick, '--epochs', '8', '--batch', '10', '--validation', '50', '--out', 'plain', '--json'],
      work,
    )
    expect(trained.status, trained.stderr).toBe(0)
    const result = JSON.parse(trained.stdout)
    expect(result.student.rows).toBe(200)
    // By chance it would be 180.
    expect(result.student.errors).toBeLessThan(120)
    const evaluated = imago(['evaluate', 'plain/student.onnx', '--data', 'digits', '--json'], work)
    expect(JSON.parse(evaluated.stdout).errors).toBe(result.student.errors)
    const inspected = imago(['inspect', 'plain/student.onnx', '--train', '--json'], work)
    expect(JSON.parse(inspected.stdout)).toMatchObject({ parameters: 784 * 8 + 8 + 8 * 10 + 10, trainable: true })
    expect(imago(['inspect', 'plain/student.onnx', '--train'], work).stdout).toContain('Gemm')
    const rows = readFileSync(join(work, 'plain/metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(rows.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(rows.every(({ evaluation }) => evaluation.rows === 50)).toBe(true)
    expect(readFileSync(join(work, 'plain/report.html'), 'utf8')).toContain('<svg')
  })

  it('distils from a teacher file, and takes options from a config file', () => {
    const plain = imago(
      ['distill', '--teacher', 'teacher.onnx', ...quick, '--temperature', '2', '--out', 'a', '--json'],
      work,
    )
    expect(plain.status, plain.stderr).toBe(0)
    const config = join(work, 'options.json')
    writeConfig(config, { temperature: 2, arch: 'mlp:784-8-10', data: 'digits', epochs: 2, threads: 1 })
    const filed = imago(
      ['distill', '--teacher', 'teacher.onnx', '--config', config, '--quiet', '--out', 'b', '--json'],
      work,
    )
    expect(filed.status, filed.stderr).toBe(0)
    expect(JSON.parse(filed.stdout).student).toEqual(JSON.parse(plain.stdout).student)
    writeConfig(config, { ...JSON.parse(readFileSync(config, 'utf8')), teacher: 'teacher.onnx', out: 'c', json: true })
    const whole = imago(['distill', '--config', config, '--quiet'], work)
    expect(whole.status, whole.stderr).toBe(0)
    expect(JSON.parse(whole.stdout).student).toEqual(JSON.parse(plain.stdout).student)
  })

  it('distils on rows without labels, and says how far the student agrees', () => {
    writeDigits(join(work, 'unlabelled'))
    for (const part of ['train', 't10k']) rmSync(join(work, 'unlabelled', `${part}-labels-idx1-ubyte`))
    const args = ['distill', '--teacher', 'teacher.onnx', ...quick, '--data', 'unlabelled', '--epochs', '5']
    const ran = imago([...args, '--out', 'soft', '--json'], work)
    expect(ran.status, ran.stderr).toBe(0)
    const result = JSON.parse(ran.stdout)
    // By chance it would be about 0.1.
    expect(result.agreement).toBeGreaterThan(0.2)
    expect(result).not.toHaveProperty('student')
    expect(existsSync(join(work, result.files.student))).toBe(true)
    expect(readFileSync(join(work, 'soft/report.html'), 'utf8')).toContain('agrees with its teacher')
    expect(imago([...args, '--out', 'soft'], work).stdout).toMatch(/agreement.* \d+\.\d+ %/)
  })

  it('names its version', () => {
    expect(imago(['--version']).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('writes a checkpoint on Ctrl-C, exits 130, and the same command ends as the undisturbed run', async () => {
    const args = [
      'train',
      '--arch',
      'mlp:784-64-10',
      '--data',
      'digits',
      '--batch',
      '4',
      '--epochs',
      '30',
      '--threads',
      '1',
      '--json',
    ]
    const undisturbed = imago([...args, '--quiet', '--out', 'whole'], work)
    const stopped = await startImago([...args, '--out', 'stopped'], work, /epoch \d/, 'SIGINT')
    expect(stopped.status, stopped.stderr).toBe(130)
    expect(stopped.stderr).toContain('goes on from the checkpoint')
    expect(existsSync(join(work, 'stopped/student.onnx'))).toBe(false)
    const resumed = imago([...args, '--out', 'stopped'], work)
    expect(resumed.status, resumed.stderr).toBe(0)
    expect(resumed.stderr).toContain('going on after step')
    const [a, b] = await Promise.all(['whole', 'stopped'].map((run) => readModel(join(work, run, 'student.onnx'))))
    const bytes = (model: typeof a): string[] =>
      [...model!.graph.initializers.values()].map(({ raw }) => Buffer.from(raw!).toString('base64'))
    expect(bytes(a)).toEqual(bytes(b))
    expect(JSON.parse(resumed.stdout).student).toEqual(JSON.parse(undisturbed.stdout).student)
  })

  it('exits 143 on SIGTERM', async () => {
    const stopped = await startImago(
      [
        'train',
        '--arch',
        'mlp:784-64-10',
        '--data',
        'digits',
        '--batch',
        '4',
        '--epochs',
        '500',
        '--threads',
        '1',
        '--out',
        'term',
      ],
      work,
      /epoch \d/,
      'SIGTERM',
    )
    expect(stopped.status, stopped.stderr).toBe(143)
  })

  it('says what works here', () => {
    const findings = JSON.parse(imago(['doctor', '--json']).stdout) as { what: string; ok: boolean }[]
    expect(findings.find(({ what }) => what === 'kernels, reference')?.ok).toBe(true)
    expect(findings.find(({ what }) => what === 'ONNX Runtime, cpu')?.ok).toBe(true)
  })
})

function writeConfig(path: string, options: object): void {
  writeFileSync(path, JSON.stringify(options))
}
