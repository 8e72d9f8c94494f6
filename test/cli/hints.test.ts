import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { mlp, readModel, writeModel } from '@imago/onnx'
import { rng } from '@imago/tensor'
import { beforeAll, describe, expect, it } from 'vitest'
import { folder, imago, writeDigits } from './imago.js'

const work = folder()
const distil = [
  'distill',
  '--teacher',
  'teacher.onnx',
  '--arch',
  'mlp:784-8-10',
  '--data',
  'digits',
  '--quiet',
  '--threads',
  '1',
]

beforeAll(async () => {
  writeDigits(join(work, 'digits'))
  await writeModel(join(work, 'teacher.onnx'), mlp([784, 16, 10], { rng: rng(1) }))
})

describe('imago distill --hint', () => {
  it('trains with losses on tensors that imago inspect lists, and saves the student alone', async () => {
    const inspected = imago(['inspect', 'teacher.onnx', '--tensors', '--json'], work)
    const { tensors } = JSON.parse(inspected.stdout)
    expect(tensors).toContainEqual({ tensor: { name: 'act1.output', type: 'float32', shape: ['N', 16] }, op: 'Relu' })
    const hints = [
      '--hint',
      'hint*20:act1.output=act1.output',
      '--hint',
      'rkd:act1.output=act1.output;crd:act1.output=logits',
    ]
    const ran = imago([...distil, ...hints, '--epochs', '3', '--out', 'hinted', '--json'], work)
    expect(ran.status, ran.stderr).toBe(0)
    const epochs = readFileSync(join(work, 'hinted/metrics.jsonl'), 'utf8').trim().split('\n')
    const [first, , last] = epochs.map((line) => JSON.parse(line).parts)
    for (const part of ['hint', 'crd']) expect(last[part]).toBeLessThan(first[part])
    const { graph } = await readModel(join(work, 'hinted/student.onnx'))
    expect(graph.outputs.map(({ name }) => name)).toEqual(['logits'])
    expect([...graph.initializers.keys()].sort()).toEqual(['fc1.bias', 'fc1.weight', 'fc2.bias', 'fc2.weight'])
    // Another hint is another run.
    const other = imago([...distil, '--hint', 'rkd:act1.output=act1.output', '--epochs', '3', '--out', 'hinted'], work)
    expect(other.status).not.toBe(0)
    expect(other.stderr).toMatch(/hint/)
  })

  it.each([
    ['nope:a=b', /one of hint, attention/],
    ['hint*0:a=b', /weight > 0/],
    ['fsp:a=b', /two tensors/],
    ['hint:fc9=act1.output', /no value "fc9"/],
    ['attention:act1.output=act1.output', /\[C, H, W\]/],
  ])('refuses %s and leaves nothing behind', (hint, reason) => {
    const ran = imago([...distil, '--hint', hint, '--out', 'refused'], work)
    expect(ran.status).not.toBe(0)
    expect(ran.stderr).toMatch(reason)
    expect(ran.stderr).not.toMatch(/ {4}at /)
    expect(existsSync(join(work, 'refused', 'student.onnx'))).toBe(false)
  })

  it('refuses hints where a store or several teachers are to teach', () => {
    const several = imago(
      [
        ...distil,
        '--teacher',
        'teacher.onnx,teacher.onnx',
        '--hint',
        'rkd:act1.output=act1.output',
        '--out',
        'refused',
      ],
      work,
    )
    expect(several.stderr).toMatch(/--hint.*left out where several teachers/)
    const stored = imago(
      ['distill', '--targets', 'store', '--arch', 'mlp:784-8-10', '--hint', 'rkd:a=b', '--out', 'refused'],
      work,
    )
    expect(stored.stderr).toMatch(/store holds no hidden tensors/)
  })
})
