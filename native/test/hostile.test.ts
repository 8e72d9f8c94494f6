import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { addonPath, loadAddon } from './addon.js'
import { calls } from './calls.mjs'

const addon = loadAddon()

describe.skipIf(addon === null)('rows 9 and 11: calls that no face lets through', () => {
  test('there is a call of every kernel', () => {
    expect(Object.keys(calls).sort()).toEqual(addon!.kernels().sort())
  })

  test('compute or refuse, and write nothing outside their buffers', () => {
    const run = spawnSync(process.execPath, [path.join(import.meta.dirname, 'hostile.mjs'), addonPath], {
      encoding: 'utf8',
    })
    expect({ status: run.status, signal: run.signal, stderr: run.stderr }).toEqual({
      status: 0,
      signal: null,
      stderr: '',
    })
    const { made, accepted, overruns } = JSON.parse(run.stdout) as {
      made: number
      accepted: number
      overruns: string[]
    }
    expect(made).toBeGreaterThan(4000 * addon!.info().available.length)
    expect(accepted).toBeGreaterThan(made / 20)
    expect(overruns).toEqual([])
  })
})
