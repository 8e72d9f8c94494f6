import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, test } from 'vitest'
import { candidates } from '../../src/loader/candidates.js'
import { libc } from '../../src/loader/libc.js'
import { abiVersion, native, search } from '../../src/loader/load.js'

const folder = mkdtempSync(join(tmpdir(), 'imago-loader-'))
afterAll(() => rmSync(folder, { recursive: true }))

const broken = join(folder, 'broken.node')
writeFileSync(broken, 'not a shared object')
const other = join(folder, 'other.cjs')
writeFileSync(
  other,
  `module.exports = { abiVersion: ${abiVersion + 1}, functions: {}, kernels: () => [], info() {}, setIsa() {} }`,
)
const stranger = join(folder, 'stranger.cjs')
writeFileSync(stranger, 'module.exports = { hello() {} }')

const nothing = (specifier: string): string => {
  throw new Error(`Cannot find module ${specifier}`)
}

const linux = { env: {}, platform: 'linux', arch: 'x64', libc: () => 'gnu' as const, resolve: nothing }

describe('the places of the addon', () => {
  test('the build of @imago/native, then the package of the platform', () => {
    const resolve = (specifier: string) => `/modules/${specifier}`
    expect(candidates({ ...linux, resolve }).map(({ path }) => path)).toEqual([
      join('/modules/@imago/native/build/Release/imago_native.node'),
      join('/modules/@imago/native-linux-x64-gnu/imago_native.node'),
    ])
    const packages = (platform: string, arch: string, c: 'musl' | null) =>
      candidates({ ...linux, platform, arch, libc: () => c, resolve })[1]!.path
    expect(packages('linux', 'arm64', 'musl')).toContain('@imago/native-linux-arm64-musl')
    expect(packages('darwin', 'arm64', null)).toContain('@imago/native-darwin-arm64/')
    expect(packages('win32', 'x64', null)).toContain('@imago/native-win32-x64/')
  })

  test('IMAGO_NATIVE_PATH alone, where it is set', () => {
    expect(candidates({ ...linux, env: { IMAGO_NATIVE_PATH: '/a.node' } })).toEqual([{ path: '/a.node' }])
  })

  test('packages that are not installed are named', () => {
    expect(candidates(linux).map(({ reason }) => reason)).toEqual([
      'package @imago/native is not installed',
      'package @imago/native-linux-x64-gnu is not installed',
    ])
  })

  test('libc is known here', () => {
    if (process.platform === 'linux') expect(['gnu', 'musl']).toContain(libc())
    else expect(libc()).toBeNull()
  })
})

// The system's loader would end the process (SIGBUS) at the first page that the file does not have.
test.skipIf(process.platform !== 'linux' || native().path === null)('row 19: an addon truncated anywhere', () => {
  const whole = readFileSync(native().path!)
  for (const share of [0.001, 0.1, 0.3, 0.5, 0.8, 0.9, 0.999]) {
    const path = join(folder, `truncated-${share}.node`)
    writeFileSync(path, whole.subarray(0, Math.floor(whole.length * share)))
    const { binding, attempts } = search({ ...linux, env: { IMAGO_NATIVE_PATH: path } }, createRequire(import.meta.url))
    expect(binding).toBeNull()
    expect(attempts[0]!.reason).toMatch(/^is truncated: \d+ of at least \d+ bytes are there$/)
    rmSync(path)
  }
})

describe('what does not load says why', () => {
  const load = createRequire(import.meta.url)
  const at = (path: string) => search({ ...linux, env: { IMAGO_NATIVE_PATH: path } }, load)

  test.each([
    [join(folder, 'absent.node'), /no such file/],
    [broken, /./],
    [other, new RegExp(`ABI version ${abiVersion + 1}, this @imago/kernels needs ${abiVersion}`)],
    [stranger, /not an addon of imago/],
  ])('%s', (path, reason) => {
    const { binding, attempts, path: used } = at(path)
    expect(binding).toBeNull()
    expect(used).toBeNull()
    expect(attempts).toHaveLength(1)
    expect(attempts[0]!.path).toBe(path)
    expect(attempts[0]!.reason).toMatch(reason)
  })

  test('IMAGO_NATIVE=off looks nowhere', () => {
    const off = search({ ...linux, env: { IMAGO_NATIVE: 'off', IMAGO_NATIVE_PATH: other } }, load)
    expect(off).toMatchObject({ binding: null, off: true })
    expect(off.attempts[0]!.reason).toMatch(/IMAGO_NATIVE=off/)
  })

  test('of two places the first that loads is used, and both are remembered', () => {
    const good = { abiVersion, functions: {}, kernels: () => [] }
    const resolve = (specifier: string) => {
      if (specifier.startsWith('@imago/native-')) return join(folder, 'package.json')
      return nothing(specifier)
    }
    writeFileSync(join(folder, 'imago_native.node'), '')
    const found = search({ ...linux, resolve }, () => good)
    expect(found.binding).toBe(good)
    expect(found.path).toBe(join(folder, 'imago_native.node'))
    expect(found.attempts.map(({ reason }) => reason)).toEqual(['package @imago/native is not installed', null])
  })
})

/** What a fresh process prints and warns, with the built package. */
describe('in a process of its own', () => {
  const program = `
    const { softmax, backends } = await import('@imago/kernels')
    const logits = { type: 'float32', dims: [1, 2], data: new Float32Array(2) }
    softmax({ logits }); softmax({ logits })
    let cpu = 'ran'
    try { softmax({ logits, backend: 'cpu' }) } catch (error) { cpu = error.code + ' ' + error.message }
    console.log(JSON.stringify({ backends: backends(), cpu }))`

  function run(env: { [name: string]: string }): { out: string; err: string } {
    const warnings = join(folder, 'warnings')
    rmSync(warnings, { force: true })
    const out = execFileSync(
      process.execPath,
      ['--redirect-warnings', warnings, '--input-type=module', '-e', program],
      {
        cwd: new URL('../..', import.meta.url),
        env: { ...process.env, IMAGO_NATIVE: '', ...env },
        encoding: 'utf8',
      },
    )
    return { out, err: existsSync(warnings) ? readFileSync(warnings, 'utf8') : '' }
  }

  const built = existsSync(new URL('../../dist/index.js', import.meta.url))
  if (!built) console.log('skipped: needs the built package (npm run build)')

  test.skipIf(!built)(
    'a broken addon: the reference, one warning that says why, and cpu refused with the reason',
    () => {
      const { out, err } = run({ IMAGO_NATIVE_PATH: broken })
      const { backends, cpu } = JSON.parse(out)
      expect(backends[0]).toMatchObject({ name: 'cpu', available: false, chosen: false })
      expect(backends[0].reason).toContain(broken)
      expect(backends[1]).toMatchObject({ name: 'reference', available: true, chosen: true })
      expect(backends[2]).toMatchObject({ name: 'cuda', available: false })
      expect(err.match(/IMAGO_NO_NATIVE/g)).toHaveLength(1)
      expect(err).toContain(broken)
      expect(cpu).toMatch(/^ERR_UNSUPPORTED .*broken\.node/)
    },
  )

  test.skipIf(!built)('IMAGO_NATIVE=off: the reference, without a warning', () => {
    const { out, err } = run({ IMAGO_NATIVE: 'off' })
    expect(JSON.parse(out).backends[0].reason).toContain('IMAGO_NATIVE=off')
    expect(err).toBe('')
  })
})

test.skipIf(native().binding === null)('the addon loads and computes in many worker threads at once', async () => {
  const program = `
    const { parentPort, workerData } = require('node:worker_threads')
    const binding = require(workerData)
    const result = new Float64Array(1)
    for (let i = 0; i < 200; i++) binding.call('squared_norm', [Float32Array.of(3, 4), result], [2])
    parentPort.postMessage(result[0])`
  const answers = Array.from({ length: 8 }, () => {
    const worker = new Worker(program, { eval: true, workerData: native().path })
    return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  })
  expect(await Promise.all(answers)).toEqual(Array(8).fill(25))
})
