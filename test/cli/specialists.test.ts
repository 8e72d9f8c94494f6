import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { builder, type Model, mlp, readModel, writeModel } from '@imago/onnx'
import { rng, tensor } from '@imago/tensor'
import { beforeAll, describe, expect, it } from 'vitest'
import { folder, imago, type Ran, startImago, writeDigits } from './imago.js'

/** `imago specialists`: from a generalist to one net again, and what cannot be. */
const work = folder()
const at = (...names: string[]): string => join(work, ...names)
const common = ['--generalist', 'g.onnx', '--data', 'digits', '--threads', '1']
const train = ['specialists', 'train', ...common, '--batch', '40', '--validation', '0.2']

function specialists(action: string, ...args: string[]): Ran {
  return imago(['specialists', action, ...common, ...args], work)
}

function done(ran: Ran): Ran {
  expect(ran.status, ran.stderr).toBe(0)
  return ran
}

beforeAll(() => {
  writeDigits(at('digits'))
  done(
    imago(
      [
        'train',
        '--arch',
        'mlp:784-24-10',
        '--data',
        'digits',
        '--epochs',
        '3',
        '--threads',
        '1',
        '--out',
        'general',
        '--quiet',
      ],
      work,
    ),
  )
  renameSync(at('general', 'student.onnx'), at('g.onnx'))
  done(specialists('plan', '--count', '3', '--size', '4', '--out', 'sp', '--quiet'))
  done(imago([...train, '--epochs', '3', '--plan', 'sp', '--quiet'], work))
  done(specialists('combine', '--plan', 'sp', '--quiet'))
})

describe('imago specialists', () => {
  it('plan: sets, a report with both matrices, and specialists that begin as the generalist; the same command again the same', () => {
    const options = [
      '--count',
      '3',
      '--size',
      '4',
      '--names',
      'a,b,c,d,e,f,g,h,i,j',
      '--out',
      'named',
      '--json',
      '--quiet',
    ]
    const ran = done(specialists('plan', ...options))
    const summary = JSON.parse(ran.stdout)
    const plan = JSON.parse(readFileSync(at('named', 'plan.json'), 'utf8'))
    expect(plan.sets).toEqual(JSON.parse(readFileSync(at('sp', 'plan.json'), 'utf8')).sets)
    expect(summary.sets[0].classes).toEqual(plan.sets[0].classes.map((c: number) => 'abcdefghij'[c]))
    const covered = new Set(plan.sets.flatMap(({ classes }: { classes: number[] }) => classes))
    expect(summary.uncovered).toHaveLength(10 - covered.size)
    const report = readFileSync(at(summary.report), 'utf8')
    expect(report.match(/data:image\/png/g)).toHaveLength(2)
    for (const { name } of plan.sets) expect(existsSync(at('named', `${name}.initial.onnx`))).toBe(true)
    expect(done(specialists('plan', ...options)).stdout).toBe(ran.stdout)
  })

  it('train: a folder for each; what is trained is not trained again', async () => {
    const results = ['set-1', 'set-2', 'set-3'].map((name) =>
      JSON.parse(readFileSync(at('sp', name, 'result.json'), 'utf8')),
    )
    for (const { epochs, curve } of results) expect(curve).toHaveLength(epochs)
    const model = await readModel(at('sp', 'set-1', 'specialist.onnx'))
    expect(model.metadata.get('imago.specialist')).toMatch(/"head":"dustbin","offset"/)
    const again = done(imago([...train, '--epochs', '3', '--plan', 'sp', '--json'], work))
    expect(again.stderr).not.toMatch(/epoch/)
    expect(Object.values(JSON.parse(again.stdout).specialists)).toEqual(results)
  })

  it('train: stopped by Ctrl-C it goes on, and ends where the undisturbed run ends', async () => {
    done(specialists('plan', '--count', '3', '--size', '4', '--out', 'stopped', '--quiet'))
    const args = [...train, '--epochs', '3', '--plan', 'stopped', '--only', 'set-2']
    const ran = await startImago(args, work, /set-2 epoch 1/, 'SIGINT')
    // On a fast machine it may be done before the signal comes.
    expect([0, 130]).toContain(ran.status)
    done(imago(args, work))
    expect(readFileSync(at('stopped', 'set-2', 'specialist.onnx'))).toEqual(
      readFileSync(at('sp', 'set-2', 'specialist.onnx')),
    )
    expect(existsSync(at('stopped', 'set-1'))).toBe(false)
  })

  it('train: one that fails is named, and the others are trained', () => {
    done(specialists('plan', '--count', '3', '--size', '4', '--out', 'broken', '--quiet'))
    writeFileSync(at('broken', 'set-2.initial.onnx'), 'no model')
    const ran = imago([...train, '--epochs', '1', '--plan', 'broken', '--json'], work)
    expect(ran.status).toBe(1)
    const { specialists: trained, failed } = JSON.parse(ran.stdout)
    expect(Object.keys(trained)).toEqual(['set-1', 'set-3'])
    expect(failed['set-2']).toMatch(/set-2\.initial\.onnx/)
    const combined = done(specialists('combine', '--plan', 'broken', '--json', '--quiet'))
    expect(JSON.parse(combined.stdout).missing).toEqual(['set-2'])
  })

  it('combine: counts what evaluate counts for the generalist, and by the number of sets that have the true class', () => {
    const { errors, rows, byCover, unsolved } = JSON.parse(
      done(specialists('combine', '--plan', 'sp', '--json', '--quiet')).stdout,
    )
    const alone = JSON.parse(done(imago(['evaluate', 'g.onnx', '--data', 'digits', '--json'], work)).stdout)
    expect(errors.generalist).toBe(alone.errors)
    expect(rows).toBe(200)
    expect(unsolved).toBe(0)
    for (const key of ['rows', 'generalist', 'combined'] as const) {
      const total = byCover.reduce((sum: number, cover: { [name: string]: number }) => sum + cover[key]!, 0)
      expect(total).toBe(key === 'rows' ? rows : errors[key])
    }
  })

  it('distill: back into a net of the generalist’s size; any distillation takes what was combined', () => {
    const args = ['--plan', 'sp', '--epochs', '1', '--out', 'back', '--json', '--quiet']
    const { student, teacher } = JSON.parse(done(specialists('distill', ...args)).stdout)
    const { errors } = JSON.parse(done(specialists('combine', '--plan', 'sp', '--json', '--quiet')).stdout)
    expect(teacher.errors).toBe(errors.combined)
    expect(student.rows).toBe(200)
    const other = ['--arch', 'mlp:784-8-10', '--data', 'digits', '--epochs', '1', '--out', 'small', '--json', '--quiet']
    const small = done(imago(['distill', '--teacher', 'sp/combined.json', ...other], work))
    expect(JSON.parse(small.stdout).teacher).toEqual(teacher)
  })

  it('section 6.1: all classes stay, and the generalist teaches beside labels', async () => {
    done(specialists('plan', '--count', '2', '--head', 'full', '--out', 'full', '--quiet'))
    done(imago([...train, '--epochs', '1', '--plan', 'full', '--quiet'], work))
    const { errors } = JSON.parse(done(specialists('combine', '--plan', 'full', '--json', '--quiet')).stdout)
    expect(errors.combined).toBeLessThan(200)
    const model = await readModel(at('full', 'set-1', 'specialist.onnx'))
    expect(model.metadata.get('imago.specialist')).toMatch(/"head":"full","offset"/)
  })
})

describe('what cannot be', () => {
  const refused = (ran: Ran, says: RegExp): void => {
    expect(ran.status).toBe(1)
    expect(ran.stderr).toMatch(says)
    expect(ran.stderr).not.toMatch(/\n {4}at /)
  }

  it('a generalist whose head is not linear, or that has two classes', async () => {
    await writeModel(at('relu.onnx'), reluAtTheEnd())
    await writeModel(at('two.onnx'), mlp([784, 2], { rng: rng(1) }))
    const plan = (file: string): Ran =>
      imago(
        ['specialists', 'plan', '--generalist', file, '--data', 'digits', '--count', '2', '--out', 'no', '--quiet'],
        work,
      )
    refused(plan('relu.onnx'), /Relu.*the last layer must be a Gemm, or a MatMul with or without an Add/)
    refused(plan('two.onnx'), /at least three classes/)
    expect(existsSync(at('no'))).toBe(false)
  })

  it('a generalist that says the same of every row', async () => {
    const flat = mlp([784, 10], { rng: rng(1) })
    const initializers = new Map(flat.graph.initializers)
    initializers.set('fc1.weight', { ...initializers.get('fc1.weight')!, raw: new Uint8Array(4 * 7840) })
    await writeModel(at('flat.onnx'), { ...flat, graph: { ...flat.graph, initializers } })
    refused(
      imago(
        [
          'specialists',
          'plan',
          '--generalist',
          'flat.onnx',
          '--data',
          'digits',
          '--count',
          '2',
          '--out',
          'no',
          '--quiet',
        ],
        work,
      ),
      /the covariance matrix is zero/,
    )
  })

  it('names that do not fit, sizes that do not', () => {
    refused(specialists('plan', '--count', '2', '--names', 'a,b', '--out', 'no'), /--names.*10 names/)
    refused(
      specialists('plan', '--count', '2', '--size', '10', '--out', 'no', '--quiet'),
      /"size" must be .* in \[2, 9\]/,
    )
    expect(existsSync(at('no'))).toBe(false)
  })

  it('a plan that is not there, or another generalist’s', async () => {
    refused(specialists('combine', '--plan', 'nowhere'), /There is no plan in nowhere/)
    await writeModel(at('other.onnx'), mlp([784, 24, 10], { rng: rng(9) }))
    refused(
      imago(['specialists', 'combine', '--generalist', 'other.onnx', '--data', 'digits', '--plan', 'sp'], work),
      /made for another generalist/,
    )
  })

  it('a specialist that belongs to another set, one that was changed, and one that is not trained', () => {
    done(specialists('plan', '--count', '2', '--size', '4', '--out', 'mixed', '--quiet'))
    refused(specialists('combine', '--plan', 'mixed'), /No specialist of mixed is trained/)
    refused(specialists('distill', '--plan', 'mixed', '--out', 'no'), /Run imago specialists combine first/)
    done(imago([...train, '--epochs', '1', '--plan', 'mixed', '--quiet'], work))
    const [one, two] = ['set-1', 'set-2'].map((name) => at('mixed', name, 'specialist.onnx'))
    done(specialists('combine', '--plan', 'mixed', '--quiet'))
    writeFileSync(one!, readFileSync(two!))
    refused(specialists('combine', '--plan', 'mixed'), /is a specialist for the classes .* not for .* of "set-1"/)
    refused(
      imago(
        ['distill', '--teacher', 'mixed/combined.json', '--arch', 'mlp:784-8-10', '--data', 'digits', '--out', 'no'],
        work,
      ),
      /is not the model that .*combined\.json was made of/,
    )
    rmSync(one!)
    expect(existsSync(at('no'))).toBe(false)
  })

  it('sets that the plan does not have, and training with other options in the same folder', () => {
    refused(imago([...train, '--plan', 'sp', '--only', 'set-9'], work), /--only.*set-1, set-2, set-3/)
    const ran = imago([...train, '--epochs', '5', '--plan', 'sp', '--quiet', '--json'], work)
    expect(ran.status).toBe(1)
    expect(JSON.parse(ran.stdout).failed['set-1']).toMatch(/belongs to another run \(.*epochs/)
  })
})

function reluAtTheEnd(): Model {
  const b = builder()
  const w = b.initializer('w', tensor('float32', [784, 10], new Float32Array(7840)))
  const y = b.op('Relu', [b.op('MatMul', [b.input('input', 'float32', ['N', 784]), w])])
  b.output(y, 'float32', ['N', 10])
  return {
    irVersion: 9,
    opsets: new Map([['', 17]]),
    producer: 'test',
    graph: b.graph(),
    metadata: new Map(),
    functions: [],
  }
}
