import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { FormatError, NotFoundError } from '@imago/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Dataset, openDataset } from '../../src/index.js'
import { encodeIdx } from '../idx/encode-idx.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'imago-open-'))
})
afterAll(() => rmSync(folder, { recursive: true }))
const put = (name: string, bytes: Uint8Array): string => {
  const path = join(folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, bytes)
  return path
}
const all = (set: Dataset) => set.rows(Uint32Array.from({ length: set.length }, (_, i) => i))
const images = (rows: number): Uint8Array =>
  encodeIdx(
    8,
    [rows, 2, 2],
    Array.from({ length: rows * 4 }, (_, i) => i % 256),
  )
const labels = (rows: number, classes: number): Uint8Array =>
  encodeIdx(
    8,
    [rows],
    Array.from({ length: rows }, (_, i) => i % classes),
  )

test('embedded draws digits', async () => {
  const { train, test } = await openDataset('embedded', { digits: { seed: 2, train: 12, test: 5 }, input: 'x' })
  expect([train.length, test.length, train.classes]).toEqual([12, 5, 10])
  expect(all(train).inputs.x!.dims).toEqual([12, 784])
})

describe('a folder of IDX files', () => {
  test('has both parts, and as many classes in the test as in the training', async () => {
    put('both/train-images-idx3-ubyte.gz', gzipSync(images(6)))
    put('both/train-labels-idx1-ubyte', labels(6, 3))
    put('both/t10k-images-idx3-ubyte', images(2))
    put('both/t10k-labels-idx1-ubyte.gz', gzipSync(labels(2, 2)))
    put('both/README.txt', Uint8Array.of(1))
    const { train, test } = await openDataset(join(folder, 'both'), { shape: [1, 2, 2] })
    expect([train.length, test.length, train.classes, test.classes]).toEqual([6, 2, 3, 3])
    expect(all(test).inputs.input!.dims).toEqual([2, 1, 2, 2])
  })

  test('without a test part: rows are held out', async () => {
    put('single/train-features.idx', images(12))
    put('single/train-labels.idx', labels(12, 3))
    const { train, test } = await openDataset(join(folder, 'single'))
    expect([train.length, test.length]).toEqual([10, 2])
    expect([...all(train).ids, ...all(test).ids].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 12 }, (_, i) => i),
    )
  })

  test('two files for one part, or none, are refused', async () => {
    put('double/train-images.idx', images(2))
    put('double/train-images.idx.gz', gzipSync(images(2)))
    await expect(openDataset(join(folder, 'double'))).rejects.toThrow(FormatError)
    mkdirSync(join(folder, 'empty'))
    await expect(openDataset(join(folder, 'empty'))).rejects.toThrow(/no IDX training files/)
  })
})

test('a pair of IDX files, and one alone as a transfer set', async () => {
  const pixels = put('pair/a.idx', images(6))
  const classes = put('pair/b.idx', labels(6, 3))
  expect((await openDataset(`${pixels},${classes}`, { holdOut: 2 })).test.length).toBe(2)
  expect(all((await openDataset(pixels, { holdOut: 2 })).train).labels).toBeUndefined()
})

test('a .npz keeps the shape of its rows', async () => {
  const golden = JSON.parse(readFileSync(new URL('../golden/npy.json', import.meta.url), 'utf8'))
  const path = put('data.npz', new Uint8Array(Buffer.from(golden.npz.deflated, 'base64')))
  const { train, test } = await openDataset(path, { holdOut: 2 })
  expect([train.length, test.length, train.classes]).toEqual([4, 2, 3])
  const { ids, inputs, labels } = all(train)
  expect(inputs.input!.data).toEqual(
    Float32Array.from([...ids].flatMap((id) => [0, 1, 2, 3].map((i) => (4 * id + i) / 8))),
  )
  expect(labels).toEqual(Int32Array.from(ids, (id) => id % 3))
})

test('what is not there, or nothing that is known, says what can be given', async () => {
  await expect(openDataset(join(folder, 'none.npz'))).rejects.toThrow(NotFoundError)
  await expect(openDataset('nonsense')).rejects.toThrow(/Give `embedded`, `mnist`, a .npz file/)
  await expect(openDataset(put('some.txt', Uint8Array.of(1)))).rejects.toThrow(/neither a .npz file nor an IDX file/)
})
