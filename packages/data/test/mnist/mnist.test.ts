import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NotFoundError } from '@imago/tensor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Dataset, mnist } from '../../src/index.js'
import { findMnist } from '../../src/mnist/mnist.js'

const shared = process.env.IMAGO_DATA_DIR
const found = shared === undefined ? undefined : await findMnist(shared)
if (found === undefined)
  console.log(`MNIST tests are skipped: ${shared ? `not found in ${shared}` : 'IMAGO_DATA_DIR is not set'}`)

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'imago-mnist-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function counts(set: Dataset): number[] {
  const labels = set.rows(Uint32Array.from({ length: set.length }, (_, i) => i)).labels!
  const out = new Array<number>(10).fill(0)
  for (const label of labels) out[label]!++
  return out
}

test.skipIf(found === undefined)('the whole set, with the published counts of each class', async () => {
  const { train, test } = await mnist({ dataDir: shared! })
  expect([train.length, test.length, train.classes, test.classes]).toEqual([60_000, 10_000, 10, 10])
  expect(counts(train)).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
  expect(counts(test)).toEqual([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
  const pixels = test.rows(Uint32Array.from({ length: 10_000 }, (_, i) => i)).inputs.input!.data as Float32Array
  // The mean pixel of the 10,000 test images, 33.791224489795916 of 255 (NumPy over the original file).
  expect(pixels.reduce((sum, value) => sum + value, 0) / pixels.length).toBeCloseTo(33.791224489795916 / 255, 6)
})

test.skipIf(found === undefined)(
  'is found in the folder, in its mnist, in its data/mnist, and under other spellings',
  async () => {
    const dotted = join(folder, 'dotted')
    mkdirSync(dotted)
    for (const path of Object.values(found!))
      copyFileSync(
        path,
        join(
          dotted,
          path
            .split('/')
            .at(-1)!
            .replace(/-(idx)/, '.$1'),
        ),
      )
    for (const [at, dataDir] of [
      [dotted, dotted],
      [join(folder, 'a', 'mnist'), join(folder, 'a')],
      [join(folder, 'b', 'data', 'mnist'), join(folder, 'b')],
    ] as const) {
      mkdirSync(at, { recursive: true })
      if (at !== dotted) for (const name of readdirSync(dotted)) copyFileSync(join(dotted, name), join(at, name))
      expect(
        (await mnist({ dataDir, shape: [1, 28, 28], input: 'x' })).test.rows(Uint32Array.of(0)).inputs.x!.dims,
      ).toEqual([1, 1, 28, 28])
    }
  },
)

test('three of four files are not MNIST', async () => {
  const partial = join(folder, 'partial')
  mkdirSync(partial)
  writeFileSync(join(partial, 'train-images-idx3-ubyte.gz'), '')
  expect(await findMnist(partial)).toBeUndefined()
})

test('nothing there: says where it looked and what to do', async () => {
  await expect(mnist({ dataDir: join(folder, 'none') })).rejects.toThrow(/There is no data folder .*none/)
  await expect(mnist({ dataDir: folder })).rejects.toThrow(/MNIST is not in .*Put train-images-idx3-ubyte.gz/)
  await expect(mnist({ cacheDir: folder, fetch: false })).rejects.toThrow(/downloading is off\. Allow the download/)
  await expect(mnist()).rejects.toThrow(NotFoundError)
  expect(existsSync(join(folder, 'mnist'))).toBe(false)
})
