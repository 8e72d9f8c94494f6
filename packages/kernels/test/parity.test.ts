import { describe, expect, test } from 'vitest'
import { native } from '../src/loader/load.js'
import type { Kernel } from '../src/reference/index.js'
import { reference } from '../src/reference/index.js'
import { type KernelName, signatures } from '../src/signatures.js'
import { type ParityRow, parity, parityTables } from '../src/testing.js'

const kernels = Object.keys(signatures) as KernelName[]

function failures(rows: ParityRow[]): string[] {
  return rows
    .filter(({ pass }) => !pass)
    .map((row) => `${row.kernel} | ${row.case} | ${row.output}: ${row.error} > ${row.tolerance}`)
}

describe('the reference agrees with itself, in place and at every address', () => {
  test.each(kernels)('%s', (kernel) => {
    const rows = parity(kernel, reference[kernel])
    expect(rows.length).toBeGreaterThan(10)
    expect(failures(rows)).toEqual([])
  })
})

test('every kernel of the signatures has its rows, its reference and nothing more', () => {
  expect(Object.keys(parityTables).sort()).toEqual([...kernels].sort())
  expect(Object.keys(reference).sort()).toEqual([...kernels].sort())
})

const { binding, attempts } = native()
const isas = binding?.info().available ?? []
if (binding === null) console.log('no native parity:', attempts)

describe.skipIf(binding === null)('the addon agrees with the reference', () => {
  const own = binding?.info().isa ?? ''
  describe.each(isas)('%s', (isa) => {
    test.each(kernels)('%s', (kernel) => {
      const call: Kernel = (buffers, scalars) => binding!.call(kernel, [...buffers], scalars)
      binding!.setIsa(isa)
      try {
        expect(failures(parity(kernel, call))).toEqual([])
      } finally {
        binding!.setIsa(own)
      }
    })
  })

  test('it has every kernel of the signatures', () => {
    expect(binding!.kernels().sort()).toEqual([...kernels].sort())
  })
})
