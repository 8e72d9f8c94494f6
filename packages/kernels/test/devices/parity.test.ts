import { afterAll, describe, expect, test } from 'vitest'
import { reportCuda } from '../../src/devices/cuda-report.js'
import { type KernelName, signatures } from '../../src/signatures.js'
import { parityOnDevice } from '../../src/testing.js'
import { testDevice } from './emulated.js'

const device = testDevice()
const kernels = (reportCuda().kernels ?? []) as KernelName[]

describe.skipIf(device === null)(`CUDA kernels agree with the reference: ${device?.name}`, () => {
  afterAll(() => device?.dispose())

  test('each of them is one of the signatures', () => {
    expect(kernels.length).toBeGreaterThan(0)
    expect(Object.keys(signatures)).toEqual(expect.arrayContaining(kernels))
  })

  test.each(kernels)(
    '%s',
    async (kernel) => {
      const rows = await parityOnDevice(kernel, device!)
      expect(rows.length).toBeGreaterThan(5)
      const failures = rows
        .filter(({ pass }) => !pass)
        .map((row) => `${row.case} | ${row.output}: ${row.error} > ${row.tolerance}`)
      expect(failures).toEqual([])
      // An emulated GPU is slow, the more so on a busy machine.
    },
    240_000,
  )
})
