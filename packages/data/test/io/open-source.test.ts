import { appendFileSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ArgumentError, StateError } from '@imago/tensor'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type DataSource, readIdx } from '../../src/index.js'
import { withSource } from '../../src/io/open-source.js'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'imago-io-'))
  path = join(folder, 'file')
  writeFileSync(path, Uint8Array.of(1, 2, 3, 4, 5))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('a piece is what lies there, and shorter only at the end; a link is its file', async () => {
  symlinkSync(path, join(folder, 'link'))
  for (const source of [path, join(folder, 'link'), Uint8Array.of(1, 2, 3, 4, 5)]) {
    const pieces = await withSource(source, async (file) => [file.size, await file.read(1, 2), await file.read(3, 9)])
    expect(pieces).toEqual([5, Uint8Array.of(2, 3), Uint8Array.of(4, 5)])
  }
})

test('a file that grows or shrinks while it is read is refused', async () => {
  await expect(withSource(path, async () => appendFileSync(path, 'more'))).rejects.toThrow(StateError)
  await expect(
    withSource(path, async (file) => {
      appendFileSync(path, 'more')
      expect(await file.read(0, 99)).toHaveLength(file.size)
    }),
  ).rejects.toThrow(StateError)
  await expect(
    withSource(path, async (file) => {
      truncateSync(path, 2)
      return file.read(0, file.size)
    }),
  ).rejects.toThrow(/changed while it was read\. Read it again/)
})

test('what is no source is refused', async () => {
  await expect(readIdx(42 as unknown as DataSource)).rejects.toThrow(ArgumentError)
})
