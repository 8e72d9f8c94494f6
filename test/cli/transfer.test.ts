import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decode, mlp, writeModel } from '@imago/onnx'
import { rng } from '@imago/tensor'
import { beforeAll, describe, expect, it } from 'vitest'
import { folder, imago, type Ran, writeDigits } from './imago.js'

const work = folder()
const common = ['--arch', 'mlp:784-4-10', '--epochs', '1', '--threads', '1', '--json', '--data', 'digits']
const distil = (...args: string[]): Ran => imago(['distill', '--teacher', 'teacher.onnx', ...common, ...args], work)

beforeAll(async () => {
  writeDigits(join(work, 'digits'))
  writeDigits(join(work, 'more'))
  writeFileSync(join(work, 'rows.csv'), 'a,b\n1,2\n')
  await writeModel(join(work, 'teacher.onnx'), mlp([784, 4, 10], { rng: rng(1) }))
})

describe('--transfer where --data is no table', () => {
  it.each([
    ['a folder', 'more', 400],
    ['a pair of IDX files', 'more/train-images-idx3-ubyte,more/train-labels-idx1-ubyte', 400],
    ['images alone', 'more/train-images-idx3-ubyte', 400],
    ['a name', 'embedded', 10_000],
  ])('%s joins the training rows', (_, source, rows) => {
    const out = `from-${source.replaceAll(/\W/g, '-').slice(0, 40)}`
    const made = distil('--transfer', source, '--out', out)
    expect(made.status, made.stderr).toBe(0)
    expect(made.stderr).toContain(`${source}: ${rows} unlabelled rows join the 400 training rows`)
    const recipe = JSON.parse(decode(readFileSync(join(work, out, 'student.onnx'))).metadata.get('imago.recipe')!)
    const [last] = readFileSync(join(work, out, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .slice(-1)
    expect(JSON.parse(last!).step).toBe(Math.ceil((400 + rows) / recipe.batch))
  })

  it('what does not fit is refused, and nothing is written', () => {
    for (const [source, message] of [
      ['rows.csv', /--transfer.*no \.csv where --data is none/],
      ['gone.npz', /--transfer: There is no data set gone\.npz/],
      ['more/train-labels-idx1-ubyte', /more\/train-labels-idx1-ubyte/],
    ] as const) {
      const made = distil('--transfer', source, '--out', 'never')
      expect(made.status, source).not.toBe(0)
      expect(made.stderr).toMatch(message)
      expect(existsSync(join(work, 'never'))).toBe(false)
    }
  })
})
