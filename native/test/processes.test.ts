import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { addonPath, loadAddon } from './addon.js'

const addon = loadAddon()
const here = import.meta.dirname
/** Sanitizers keep memory back to find what is used after it was freed. */
const sanitized = Boolean(process.env.IMAGO_SANITIZE)

interface Ended {
  readonly status: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

function node(script: string, args: readonly string[], env: { readonly [name: string]: string } = {}): Ended {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', path.join(here, script), addonPath, ...args],
    { encoding: 'utf8', env: { ...process.env, ...env } },
  )
  return { status, signal, stdout, stderr }
}

describe.skipIf(addon === null)('the addon in processes of its own', () => {
  // IMAGO_TEST_ROUNDS=200 for the whole of it.
  const rounds = Math.max(3, Number(process.env.IMAGO_TEST_ROUNDS ?? 3))
  test(`row 16: 64 workers, each terminated in a call, ${rounds} times over`, () => {
    const { stdout, ...end } = node('ends.mjs', ['64', String(rounds)], { IMAGO_NUM_THREADS: '4' })
    expect(end).toEqual({ status: 0, signal: null, stderr: '' })
    const memory = JSON.parse(stdout) as number[]
    expect(memory).toHaveLength(rounds)
    // The allocator keeps some of what the first rounds needed; more than a quarter above it would be theirs.
    if (!sanitized) expect(memory.at(-1)).toBeLessThan(1.25 * Math.max(...memory.slice(0, 2)))
  })

  describe('row 17: the process ends while every worker is in a call', () => {
    test('process.exit keeps its code', () => {
      for (let i = 0; i < 3; i++)
        expect(node('exits.mjs', ['exit'])).toEqual({ status: 7, signal: null, stdout: '', stderr: '' })
    })
    test('an uncaught exception is told', () => {
      const { status, signal, stderr } = node('exits.mjs', ['throw'])
      expect({ status, signal }).toEqual({ status: 1, signal: null })
      expect(stderr).toMatch(/RangeError: nobody catches this/)
    })
    test('a worker that exits keeps its code, and the others theirs', () => {
      const end = node('exits.mjs', ['worker-exit'])
      expect(end).toMatchObject({ status: 0, signal: null, stderr: '' })
      expect(JSON.parse(end.stdout)).toEqual(Array(8).fill(7))
    })
    test.skipIf(process.platform === 'win32')('SIGTERM ends it', () => {
      expect(node('exits.mjs', ['kill'])).toMatchObject({ status: null, signal: 'SIGTERM', stderr: '' })
    })
  })

  test('row 18: a million calls leave nothing', () => {
    const { stdout, ...end } = node('many-calls.mjs', [sanitized ? '100000' : '1000000'])
    expect(end).toEqual({ status: 0, signal: null, stderr: '' })
    const { start, end: last } = JSON.parse(stdout) as { [at: string]: { [kind: string]: number } }
    // Nine hundred thousand handles or arrays would be tens of megabytes.
    expect(last!.external! - start!.external!).toBeLessThan(2 ** 20)
    expect(last!.arrayBuffers! - start!.arrayBuffers!).toBeLessThan(2 ** 20)
    expect(last!.heapUsed! - start!.heapUsed!).toBeLessThan(2 ** 20)
    if (!sanitized) expect(last!.rss! - start!.rss!).toBeLessThan(16 * 2 ** 20)
  })

  test.each(addon?.info().available ?? [])('row 20: IMAGO_CPU_ISA=%s forces what setIsa chooses', (isa) => {
    const script = `
      const addon = require(${JSON.stringify(addonPath)})
      const logits = Float32Array.from({ length: 3000 }, (_, i) => 5 * Math.sin(i * i)), out = new Float32Array(3000)
      if (process.env.CHOOSE) addon.setIsa(process.env.CHOOSE)
      addon.call('softmax', [logits, out], [3, 1000, 2, 0])
      console.log(addon.info().isa, Buffer.from(out.buffer).toString('base64'))`
    const run = (env: { [name: string]: string }): string =>
      spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', env: { ...process.env, ...env } }).stdout
    const forced = run({ IMAGO_CPU_ISA: isa })
    expect(forced).toMatch(new RegExp(`^${isa} `))
    expect(run({ CHOOSE: isa })).toBe(forced)
  })
})

const headers = includeOfNode()
const missing =
  addon === null
    ? 'no addon'
    : process.arch !== 'x64' || process.platform !== 'linux'
      ? 'MXCSR of Linux on x64'
      : headers === null
        ? 'no node-api-headers'
        : spawnSync('cc', ['--version']).status !== 0
          ? 'no cc'
          : null
if (missing !== null) console.log(`skipped: row 21, an addon that changes the floating-point mode: ${missing}`)

function includeOfNode(): string | null {
  try {
    return path.join(path.dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include')
  } catch {
    return null
  }
}

describe.skipIf(missing !== null)('row 21: another addon sets rounding and flush to zero', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'imago-mode-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  test('every kernel computes the same bits on every instruction set, and leaves the mode as it was', () => {
    const mode = path.join(folder, 'mode.node')
    const args = ['-shared', '-fPIC', '-O1', `-I${headers}`, '-o', mode, path.join(here, 'mode.c')]
    const built = spawnSync('cc', args, { encoding: 'utf8' })
    expect(built.stderr).toBe('')
    for (const threads of ['1', '4']) {
      const [plain, spoilt] = [[], [mode]].map((more) => node('digest.mjs', more, { IMAGO_NUM_THREADS: threads }))
      expect(plain).toMatchObject({ status: 0, stderr: '' })
      expect(spoilt).toEqual(plain)
    }
  })
})
