import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { addonPath, loadAddon } from './addon.js'

const addon = loadAddon()

function digests(threads: number): Record<string, string> {
  const run = spawnSync(process.execPath, [path.join(import.meta.dirname, 'digest.mjs'), addonPath], {
    encoding: 'utf8',
    env: { ...process.env, IMAGO_NUM_THREADS: String(threads) },
  })
  expect(run.stderr).toBe('')
  return JSON.parse(run.stdout)
}

describe.skipIf(addon === null)('threads', () => {
  test('the same bits from 1, 2, 3 and 8 threads, from every kernel on every instruction set', () => {
    const one = digests(1)
    expect(Object.keys(one)).toHaveLength(addon!.kernels().length * addon!.info().available.length)
    for (const threads of [2, 3, 8]) expect(digests(threads)).toEqual(one)
  })

  test('64 workers load the addon and compute at once; half of them are terminated meanwhile', async () => {
    const script = `
      const { parentPort } = require('node:worker_threads')
      const addon = require(${JSON.stringify(addonPath)})
      const n = 300000, x = new Float32Array(n).fill(2), result = new Float64Array(1)
      addon.setIsa(addon.info().available[0])
      for (let i = 0; i < 20; i++) {
        addon.call('squared_norm', [x, result], [n])
        parentPort.postMessage(result[0])
      }`
    const outcomes = await Promise.all(
      Array.from({ length: 64 }, async (_, i) => {
        const worker = new Worker(script, { eval: true })
        const sums: number[] = []
        await new Promise<void>((resolve, reject) => {
          worker.on('message', (sum: number) => {
            sums.push(sum)
            if (i % 2 === 1 && sums.length === 1) void worker.terminate()
          })
          worker.on('error', reject)
          worker.on('exit', () => resolve())
        })
        return sums
      }),
    )
    for (const [i, sums] of outcomes.entries()) {
      expect(sums.length).toBeGreaterThanOrEqual(i % 2 === 1 ? 1 : 20)
      expect(new Set(sums)).toEqual(new Set([1_200_000]))
    }
    // The instruction set belongs to its environment: the workers' choice is not ours.
    expect(addon!.info().isa).toBe(process.env.IMAGO_CPU_ISA || addon!.info().available.at(-1))
  })
})
