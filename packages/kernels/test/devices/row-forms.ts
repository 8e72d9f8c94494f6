import { afterAll, describe, expect, test } from 'vitest'
import { parityOnDevice } from '../../src/testing.js'
import { testDevice } from './emulated.js'

/** Where the row engine keeps a row while it works on it (native/src/cuda/rows.cuh). */
export type RowForm = 'cluster' | 'shared' | 'stream'

const kernels = [
  'softmax',
  'soft_target_loss',
  'cross_entropy',
  'kl_divergence',
  'logit_regression',
  'reverse_kl',
  'dkd',
] as const

/**
 * The kernels of the row engine with all their rows, the short ones too, in a form that usually serves long rows only. The library
 * reads IMAGO_CUDA_ROWS once: one form a process, so one a test file.
 */
export function describeForm(form: RowForm): void {
  process.env.IMAGO_CUDA_ROWS = form
  const device = testDevice()
  describe.skipIf(device === null)(`rows in the form "${form}": ${device?.name}`, () => {
    afterAll(() => device?.dispose())

    test.each(kernels)(
      '%s',
      async (kernel) => {
        // A block for each of thousands of short rows would say nothing more, only later.
        const rows = await parityOnDevice(kernel, device!, (name) => !/many rows|million|C=100 |in place/.test(name))
        expect(rows.length).toBeGreaterThan(100)
        expect(rows.filter(({ pass }) => !pass)).toEqual([])
      },
      240_000,
    )
  })
}
