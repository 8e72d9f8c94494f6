import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { readCombinedFile } from '../../src/specialists/combined-file.js'
import { type Plan, readPlan } from '../../src/specialists/plan-file.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'imago-plan-'))
})

describe('a plan', () => {
  const plan: Plan = {
    imago: 'specialists plan',
    version: 1,
    generalist: 'abc',
    classes: 5,
    head: 'dustbin',
    sets: [{ name: 'set-1', classes: [0, 3] }],
    input: { layout: 'NCHW' },
    output: 'scores',
  }
  const read = (value: unknown, digest = 'abc'): Promise<Plan> => {
    writeFileSync(join(folder, 'plan.json'), typeof value === 'string' ? value : JSON.stringify(value))
    return readPlan(folder, digest)
  }

  it('is read as it was written', async () => {
    expect(await read(plan)).toEqual(plan)
  })

  it.each([
    ['{', /plan\.json: is not JSON/],
    ['null', /is no plan of version 1/],
    ['[]', /is no plan of version 1/],
    [{ ...plan, version: 2 }, /is no plan of version 1/],
    [{ ...plan, classes: 2.5 }, /classes must be/],
    [{ ...plan, head: 'no' }, /head must be dustbin or full/],
    [{ ...plan, sets: [] }, /at least one set/],
    [{ ...plan, sets: {} }, /sets must be a list/],
    [{ ...plan, sets: [null] }, /sets\[0\]/],
    [{ ...plan, sets: [{ name: 'a', classes: [] }] }, /sets\[0\]\.classes/],
    [{ ...plan, sets: [{ name: 'a', classes: [1, 1] }] }, /different classes/],
    [{ ...plan, sets: [{ name: 'a', classes: [5] }] }, /classes in \[0, 5\)/],
    [{ ...plan, sets: [{ name: '../a', classes: [1, 2] }] }, /sets\[0\]\.name must be up to 64 letters/],
    [{ ...plan, input: [] }, /input must be an object/],
    [{ ...plan, output: 3 }, /output must be a text/],
  ])('%j is refused with the field', async (value, says) => {
    await expect(read(value)).rejects.toThrow(says)
  })

  it('of another generalist, or not there, is refused', async () => {
    await expect(read(plan, 'xyz')).rejects.toThrow(/was made for another generalist/)
    await expect(readPlan(join(folder, 'nowhere'), 'abc')).rejects.toThrow(/There is no plan in/)
  })
})

describe('a combination', () => {
  const one = { file: 'a.onnx', sha256: 'abc' }
  const combined = { imago: 'specialists', version: 1, generalist: one, specialists: [one], topN: 2 }
  const read = (value: unknown) => {
    const path = join(folder, 'combined.json')
    writeFileSync(path, JSON.stringify(value))
    return readCombinedFile(path)
  }

  it('is read as it was written', async () => {
    expect(await read(combined)).toEqual(combined)
  })

  it.each([
    [{ ...combined, version: 2 }, /no combination of version 1/],
    [{ ...combined, generalist: 'a.onnx' }, /generalist must be/],
    [{ ...combined, specialists: [{ file: 3 }] }, /specialists must be a list/],
    [{ ...combined, specialists: [null] }, /specialists must be a list/],
    [{ ...combined, topN: 0 }, /topN must be/],
    [{ ...combined, input: null }, /input must be/],
    [{ ...combined, output: 1 }, /output must be/],
  ])('%j is refused with the field', async (value, says) => {
    await expect(read(value)).rejects.toThrow(says)
  })
})
