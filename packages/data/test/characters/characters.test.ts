import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { FormatError, NotFoundError } from '@imago/tensor'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emnist, omniglot } from '../../src/index.js'
import { encodeIdx } from '../idx/encode-idx.js'

const shared = process.env.IMAGO_DATA_DIR
const there = (name: string): boolean =>
  shared !== undefined && [join(shared, name), join(shared, 'data', name)].some((path) => existsSync(path))
for (const name of ['emnist-byclass', 'omniglot'])
  if (!there(name)) console.log(`${name}: skipped, ${shared ? `not found in ${shared}` : 'IMAGO_DATA_DIR is not set'}`)

const all = (length: number): Uint32Array => Uint32Array.from({ length }, (_, i) => i)

describe.skipIf(!there('emnist-byclass'))('EMNIST ByClass', () => {
  it('has as many of each class as were published', async () => {
    const { train, test, names } = await emnist({ dataDir: shared! })
    expect([train.length, test.length, names.length]).toEqual([100_000, 16_323, 62])
    expect(names.join('')).toBe('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz')
    const counts = new Array<number>(62).fill(0)
    for (const part of [train, test])
      for (let from = 0; from < part.length; from += 1000)
        for (const label of part.rows(all(Math.min(1000, part.length - from)).map((i) => from + i)).labels!)
          counts[label]!++
    expect([counts[0], counts[1], Math.min(...counts)]).toEqual([5778, 6330, 317])
  })
})

describe.skipIf(!there('omniglot'))('Omniglot', () => {
  it('has every character once by each drawer, alphabet by alphabet', async () => {
    const { images, drawers, alphabets, names } = await omniglot({ dataDir: shared! })
    expect([images.length, images.classes, names.length]).toEqual([964 * 20, 964, 30])
    const { labels, inputs } = images.rows(all(images.length))
    expect(new Set(Array.from(labels!, (label, row) => 20 * label + drawers[row]!)).size).toBe(images.length)
    expect(inputs.input!.dims).toEqual([19_280, 784])
    expect(names[alphabets[0]!]).toBe('Arcadian')
    expect(names[alphabets[393]!]).toBe('Greek')
    expect(names[alphabets[963]!]).toBe('Tifinagh')
  })
})

describe('a folder of characters', () => {
  let root: string
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'imago-characters-'))
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  type Files = { readonly [name: string]: string | Uint8Array }
  const write = (name: string, good: Files, files: Files): string => {
    const path = mkdtempSync(join(root, 'data-'))
    mkdirSync(join(path, name))
    for (const [file, content] of Object.entries({ ...good, ...files })) writeFileSync(join(path, name, file), content)
    return path
  }
  const byClass: Files = {
    'classes.csv': 'label,character\n0,A\n1,b\n',
    'train-images-idx3-ubyte.gz': gzipSync(encodeIdx(8, [3, 1, 2], [0, 255, 51, 0, 255, 255])),
    'train-labels-idx1-ubyte.gz': gzipSync(encodeIdx(8, [3], [1, 0, 1])),
    'test-images-idx3-ubyte.gz': gzipSync(encodeIdx(8, [1, 1, 2], [0, 102])),
    'test-labels-idx1-ubyte.gz': gzipSync(encodeIdx(8, [1], [0])),
  }
  const drawn: Files = {
    'background-images28-idx3-ubyte.gz': gzipSync(encodeIdx(8, [4, 1, 1], [0, 255, 51, 102])),
    'background-labels-idx1-short.gz': gzipSync(encodeIdx(11, [4], [0, 1, 1, 2])),
    'background-drawers-idx1-ubyte.gz': gzipSync(encodeIdx(8, [4], [0, 0, 1, 1])),
    'background-alphabets.csv': 'alphabet,name,first_label,last_label,classes\n0,Ogham,0,1,2\n1,Runic,2,2,1\n',
  }

  it('is read', async () => {
    const { train, test, names } = await emnist({ dataDir: write('emnist-byclass', byClass, {}), shape: [1, 1, 2] })
    expect([train.classes, test.classes, ...names]).toEqual([2, 2, 'A', 'b'])
    const rows = train.rows(Uint32Array.of(2, 1))
    expect(rows.inputs.input!.dims).toEqual([2, 1, 1, 2])
    expect([...(rows.inputs.input!.data as Float32Array)]).toEqual([1, 1, Math.fround(0.2), 0])
    expect([...rows.labels!]).toEqual([1, 0])

    const characters = await omniglot({ dataDir: write('omniglot', drawn, {}) })
    expect(characters.names).toEqual(['Ogham', 'Runic'])
    expect([...characters.alphabets]).toEqual([0, 0, 1])
    expect([...characters.drawers]).toEqual([0, 0, 1, 1])
    expect([...characters.images.rows(all(4)).labels!]).toEqual([0, 1, 1, 2])
  })

  it.each([
    ['a class left out', { 'classes.csv': 'label,character\n0,A\n2,b\n' }, /line 3/],
    ['another header', { 'classes.csv': 'label,letter\n0,A\n' }, /line 1/],
    ['a label that has no name', { 'classes.csv': 'label,character\n0,A\n' }, /train-labels.*label 1 of row 0/s],
  ])('EMNIST is refused with %s', async (_, files, message) => {
    const error = await emnist({ dataDir: write('emnist-byclass', byClass, files) }).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(FormatError)
    expect((error as Error).message).toMatch(message)
  })

  const header = 'alphabet,name,first_label,last_label,classes\n'
  it.each([
    ['a gap between alphabets', { 'background-alphabets.csv': `${header}0,Ogham,0,0,1\n1,Runic,2,2,1\n` }, /line 3/],
    ['an alphabet of no characters', { 'background-alphabets.csv': `${header}0,Ogham,0,-1,0\n` }, /line 2/],
    ['a drawer missing', { 'background-drawers-idx1-ubyte.gz': gzipSync(encodeIdx(8, [3], [0, 0, 1])) }, /uint8 \[4\]/],
    ['a character of no alphabet', { 'background-alphabets.csv': `${header}0,Ogham,0,1,2\n` }, /label 2 of row 3/],
  ])('Omniglot is refused with %s', async (_, files, message) => {
    const error = await omniglot({ dataDir: write('omniglot', drawn, files) }).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(FormatError)
    expect((error as Error).message).toMatch(message)
  })

  it('is missed with a word on where it was looked for', async () => {
    await expect(emnist({ dataDir: root })).rejects.toThrow(NotFoundError)
    await expect(emnist({ dataDir: root })).rejects.toThrow(root)
    await expect(omniglot({})).rejects.toThrow(/without a folder/)
  })
})
