import { FormatError, UnsupportedError } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { type KernelLibrary, loadKernels } from '../../src/index.js'
import { compile, thrown, whyNot } from './compile.js'

const missing = whyNot('cc')
if (missing !== null) console.log(`skipped: tables of kernels: ${missing}`)

describe.skipIf(missing !== null)('a table that is refused', () => {
  const path = missing === null ? compile('faulty.c') : ''

  function loadWith(fault: string): KernelLibrary {
    process.env.IMAGO_TEST_FAULT = fault
    try {
      return loadKernels(path)
    } finally {
      delete process.env.IMAGO_TEST_FAULT
    }
  }

  test.each<[string, string, RegExp]>([
    ['null', 'imago_kernels()', /must be a table, got NULL: the library says that it cannot work here/],
    ['library size', 'struct_size', /at least 48, got 16/],
    ['library name', 'name', /printable ASCII, at most 63 characters, got NULL/],
    ['library control', 'name', /printable ASCII/],
    ['library version', 'version', /printable ASCII.*got ""/],
    ['no kernels', 'kernel_count', /in \[1, 1024\], got 0/],
    ['too many kernels', 'kernel_count', /in \[1, 1024\], got 1099511627776/],
    ['kernels null', 'kernels', /an array, got NULL/],
    ['kernel null', 'kernels[1]', /a kernel, got NULL/],
    ['kernel size', 'kernels[1].struct_size', /at least 48, got 24/],
    ['kernel before cpu', 'kernels[1]', /with a cpu or a cuda function, got neither/],
    ['kernel name null', 'kernels[1].name', /lower_snake_case, .*got NULL/],
    ['kernel name empty', 'kernels[1].name', /lower_snake_case, .*got ""/],
    ['kernel name upper', 'kernels[1].name', /lower_snake_case, .*got "Second"/],
    ['kernel name digit', 'kernels[1].name', /lower_snake_case, .*got "2nd"/],
    ['kernel name long', 'kernels[1].name', /at most 63 characters, got "a_name/],
    ['kernel name taken', 'kernels[1].name', /other than those of the built-in kernels, got "soft_target_loss"/],
    ['kernel name twice', 'kernels[1].name', /unlike the names before it, got "first"/],
    ['buffer count', 'kernels[1].buffer_count', /in \[1, 16\], got 17/],
    ['no buffers', 'kernels[1].buffer_count', /in \[1, 16\], got 0/],
    ['buffers null', 'kernels[1].buffers', /an array, got NULL/],
    ['scalar count', 'kernels[1].scalar_count', /in \[0, 24\], got 25/],
    ['scalars null', 'kernels[1].scalars', /an array, got NULL/],
    ['scalar name', 'kernels[0].scalars[1].name', /a word of letters, digits and _.*got "learning rate"/],
    ['scalar kind', 'kernels[0].scalars[1].kind', /IMAGO_SIZE or IMAGO_REAL, got 7/],
    ['buffer name', 'kernels[0].buffers[1].name', /a word.*got NULL/],
    ['buffer named as scalar', 'kernels[0]', /a name of its own for every buffer and scalar, got "rate" twice/],
    ['no types', 'kernels[0].buffers[1].types', /at least one, got 0/],
    ['unknown type', 'kernels[0].buffers[1].types', /known element types.*got 1048577/],
    ['no length', 'kernels[0].buffers[1].count', /at least 1, got 0/],
    ['factor range', 'kernels[0].buffers[1].factors[2]', /position of a scalar of kind IMAGO_SIZE, or -1, got 2/],
    ['factor negative', 'kernels[0].buffers[1].factors[2]', /got -2/],
    ['factor real', 'kernels[0].buffers[1].factors[1]', /got 1/],
    ['no function', 'kernels[1]', /got neither/],
  ])('%s', (fault, field, message) => {
    const error = thrown(() => loadWith(fault))
    expect(error).toBeInstanceOf(FormatError)
    expect((error as FormatError).where).toBe(`${path}, ${field}`)
    expect(error.message).toMatch(message)
  })

  test.each([
    ['abi', 1],
    ['abi future', 3],
  ])('%s: another version of the ABI', (fault, version) => {
    const error = thrown(() => loadWith(fault))
    expect(error).toBeInstanceOf(UnsupportedError)
    expect(error.message).toBe(
      `${path}, abi_version: must be 2 (build the library with the header of this version), got ${version}`,
    )
  })

  test('nothing of a refused library stays, and without a fault it loads', () => {
    expect(() => loadWith('no function')).toThrow()
    expect(loadWith('').kernels.map(({ name }) => name)).toEqual(['first', 'second'])
  })
})
