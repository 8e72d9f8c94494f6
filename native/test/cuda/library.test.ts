import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { addonPath } from '../addon.js'

const release = path.dirname(addonPath)
const emulated = path.join(release, 'imago_cuda_emulated.so')
const real = path.join(release, 'imago_cuda.so')
const hasAddon = existsSync(addonPath)
const hasEmulation = hasAddon && existsSync(emulated)
if (!hasEmulation) console.log(`skipped: ${emulated} is not built (node native/build.mjs --emulation)`)

/** What `expression` over the addon's `cuda` gives in a process of its own. */
function inProcess(expression: string, env: { [name: string]: string }): unknown {
  const code = `const { cuda } = require(${JSON.stringify(addonPath)}); console.log(JSON.stringify(${expression}))`
  const run = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8', env: { ...process.env, ...env } })
  expect(run.status, run.stderr).toBe(0)
  return JSON.parse(run.stdout)
}
const describeWith = (env: { [name: string]: string }) =>
  inProcess('cuda.describe()', env) as { reason?: string; devices?: unknown[]; path: string }

describe.skipIf(!hasAddon)('a machine without a GPU gets the reason', () => {
  test('no library', () => {
    const path = '/nowhere/imago_cuda.so'
    expect(describeWith({ IMAGO_CUDA_PATH: path })).toMatchObject({
      path,
      reason: expect.stringMatching(/no such file/),
    })
  })

  test('a file that is no library, and a library of something else', () => {
    expect(describeWith({ IMAGO_CUDA_PATH: __filename }).reason).toMatch(/library\.test/)
    expect(describeWith({ IMAGO_CUDA_PATH: addonPath }).reason).toMatch(/imago_device/)
  })

  test('switched off', () => {
    expect(describeWith({ IMAGO_CUDA: '0' }).reason).toBe('switched off by IMAGO_CUDA=0')
  })

  test.skipIf(!hasEmulation)('a driver and no device', () => {
    const { reason } = describeWith({ IMAGO_CUDA_PATH: emulated, IMAGO_EMULATION_DEVICES: '0' })
    expect(reason).toBe('CUDA: no CUDA-capable device is detected')
  })

  test('nothing is made without one', () => {
    const made = inProcess('(() => { try { cuda.allocate(0, "Float32Array", 1) } catch (e) { return e.message } })()', {
      IMAGO_CUDA: '0',
    })
    expect(made).toBe('switched off by IMAGO_CUDA=0')
  })

  // Where nvcc is, the library of the GPU is built: it must load on a machine without a driver.
  test.skipIf(!existsSync(real))('the library that was built for a GPU says what CUDA says', () => {
    const { reason, devices } = describeWith({ IMAGO_CUDA_PATH: real, CUDA_VISIBLE_DEVICES: '' })
    expect(devices).toBeUndefined()
    expect(reason).toMatch(/^CUDA: (CUDA driver version is insufficient|no CUDA-capable device)/)
  })
})

describe.skipIf(!hasEmulation)('the door of device memory', () => {
  const attempt = (body: string): unknown =>
    inProcess(
      `(() => { const m = cuda.allocate(0, "Float32Array", 4), s = cuda.stream(0); try { ${body} } catch (e) { return e.message } })()`,
      { IMAGO_CUDA_PATH: emulated },
    )

  test.each([
    ['cuda.view(m, 3, 2)', /elements 3 to 5 of 4/],
    ['cuda.view({}, 0, 1)', /must be device memory/],
    ['cuda.view(s, 0, 1)', /must be device memory/],
    ['cuda.view(m, -1, 1)', /whole number/],
    ['cuda.view(m, 2 ** 53, 2 ** 53)', /elements/],
    ['cuda.reinterpret(m, 1, "Float32Array", 1)', /at byte 1/],
    ['cuda.reinterpret(m, 0, "Float64Array", 3)', /of 16/],
    ['cuda.allocate(7, "Float32Array", 1)', /no device 7/],
    ['cuda.allocate(0, "Int8Array", 1)', /typed array that kernels take/],
    ['cuda.allocate(0, "Float32Array", 2 ** 50)', /out of memory/],
    ['cuda.write(m, s, new Float32Array(3), false)', /16 bytes expected, got 12/],
    ['cuda.write(m, s, [1, 2, 3, 4], false)', /typed array/],
    ['cuda.write(m, s, new Float32Array(new SharedArrayBuffer(16)), false)', /SharedArrayBuffer/],
    ['cuda.dispose(m); cuda.zero(m, s)', /disposed/],
    ['cuda.dispose(s); cuda.zero(m, s)', /disposed/],
    ['cuda.dispose({})', /dispose\(handle\)/],
    ['cuda.copy(m, s, cuda.view(m, 0, 2))', /as many bytes/],
    ['cuda.call("squared_norm", [m, m], [4], s)', /Float64Array/],
    ['cuda.call("squared_norm", [m, cuda.allocate(0, "Float64Array", 1)], [5], s)', /must have n = 5/],
    ['cuda.call("squared_norm", [m, new Float64Array(1)], [4], s)', /must be device memory/],
    ['cuda.call("nothing", [], [], s)', /no kernel named/],
    ['cuda.begin(s); cuda.begin(s)', /capturing/],
    ['cuda.end(s)', /invalid argument/],
  ])('%s is refused', (body, message) => {
    expect(attempt(body)).toMatch(message)
  })
})
