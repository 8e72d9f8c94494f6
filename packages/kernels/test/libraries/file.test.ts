import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ArgumentError, FormatError, NotFoundError, UnsupportedError } from '@imago/tensor'
import { afterAll, describe, expect, test } from 'vitest'
import { loadKernels, native } from '../../src/index.js'
import { compile, thrown, whyNot } from './compile.js'

const missing = whyNot('cc')
if (missing !== null) console.log(`skipped: files of libraries: ${missing}`)

describe.skipIf(missing !== null)('a file that is no library', () => {
  const folder = mkdtempSync(join(tmpdir(), 'imago-no-library-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const file = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }

  test.each<[string, () => unknown, new (...args: never[]) => Error, RegExp]>([
    ['a path that is none', () => 7, ArgumentError, /"path" must be the path of a library/],
    ['an empty path', () => '', ArgumentError, /"path"/],
    ['a NUL', () => 'a\0b', ArgumentError, /"path"/],
    ['no file', () => join(folder, 'absent.so'), NotFoundError, /no file .*absent\.so. Build the library first/],
    ['a folder', () => folder, FormatError, /must be a shared library, got a folder/],
    ['an empty file', () => file('empty.so', ''), FormatError, /must be a library of kernels of this platform, got/],
    ['text', () => file('text.so', 'hello'), FormatError, /must be a library of kernels of this platform, got/],
    ['another machine', () => file('arm.so', foreign()), FormatError, /must be a library of kernels of this platform/],
    ['the addon itself', () => native().path, FormatError, /it exports no symbol imago_kernels/],
  ])('%s', (_, make, type, message) => {
    const error = thrown(() => loadKernels(make() as string))
    expect(error).toBeInstanceOf(type)
    expect(error.message).toMatch(message)
  })

  /** The good library as if it were for another machine (ELF e_machine). */
  function foreign(): Uint8Array {
    const bytes = readFileSync(compile('good.c'))
    bytes.writeUInt16LE(0xf3 ^ bytes.readUInt16LE(18), 18)
    return bytes
  }

  // The system maps pages that a file does not have and ends the process at the first touch.
  test.skipIf(process.platform !== 'linux')('truncated anywhere', () => {
    const whole = readFileSync(compile('good.c'))
    for (let i = 0; i < 40; i++) {
      const path = file(`t${i}.so`, whole.subarray(0, Math.floor((whole.length * i) / 40)))
      expect(thrown(() => loadKernels(path))).toBeInstanceOf(FormatError)
    }
    const copy = join(folder, 'whole.so')
    copyFileSync(compile('good.c'), copy)
    expect(loadKernels(copy).name).toBe('good')
  })
})

test.skipIf(native().binding !== null)('without the addon: refused with the reason', () => {
  const error = thrown(() => loadKernels('/any.so'))
  expect(error).toBeInstanceOf(UnsupportedError)
  expect(error.message).toMatch(/^loadKernels: no native addon \(/)
})
