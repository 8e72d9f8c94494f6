import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { native } from '@imago/kernels'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** The package of examples/custom-kernel, copied out of this repository and built there as its README says. */
const root = fileURLToPath(new URL('../..', import.meta.url))
const example = join(root, 'examples', 'custom-kernel')

const missing =
  process.platform === 'win32'
    ? 'npm run build calls cc'
    : native().binding === null
      ? 'no addon'
      : spawnSync('cc', ['--version']).status !== 0
        ? 'no cc'
        : null
if (missing !== null) console.log(`skipped: examples/custom-kernel: ${missing}`)
const cmake = spawnSync('cmake', ['--version']).status === 0
if (!cmake) console.log('skipped: examples/custom-kernel by CMake: no cmake')

describe.skipIf(missing !== null)('examples/custom-kernel', () => {
  let project: string
  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'imago-custom-kernel-'))
    cpSync(example, project, { recursive: true, filter: (path) => path !== join(example, 'build') })
    symlinkSync(join(root, 'node_modules'), join(project, 'node_modules'))
  })
  afterAll(() => rmSync(project, { recursive: true, force: true }))

  function run(command: string, ...args: string[]): { status: number | null; output: string } {
    const { NODE_TEST_CONTEXT, ...env } = process.env
    const ran = spawnSync(command, args, { cwd: project, encoding: 'utf8', env })
    return { status: ran.status, output: `${ran.stdout}${ran.stderr}` }
  }
  const npm = (script: string) => run('npm', 'run', '--silent', script)
  const library = (): string => join(project, 'build', 'alpha_divergence.so')

  it.skipIf(!cmake)('builds by CMake, and agrees with its reference', () => {
    expect(npm('build:cmake')).toMatchObject({ status: 0 })
    const { status, output } = npm('test')
    expect(status, output).toBe(0)
    rmSync(join(project, 'build'), { recursive: true })
  })

  it('builds by one line of cc, and agrees with its reference', () => {
    const built = npm('build')
    expect(built.status, built.output).toBe(0)
    expect(existsSync(library())).toBe(true)
    const { status, output } = npm('test')
    expect(status, output).toBe(0)
    expect(output).toMatch(/\d{3,} verdicts/)
  })

  it('teaches a student inside distill', () => {
    const { status, output } = npm('start')
    expect(status, output).toBe(0)
    const losses = [...output.matchAll(/loss (\S+)/g)].map(([, loss]) => Number(loss))
    expect(losses).toHaveLength(5)
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 2)
    expect(existsSync(join(project, 'student.onnx'))).toBe(true)
  })

  it.each([
    ['a factor T is missing', 'return T * T * divergence', 'return T * divergence', /\| result:/],
    ['a sign is wrong', '-share * T / a', 'share * T / a', /\| gradient:/],
    ['a row is not looked at', 'if (isfinite(x)) continue;', 'if (!isnan(x)) continue;', /Infinity in row 0.*accepts/],
  ])('its test finds that %s', (_, right, wrong, finds) => {
    const source = join(project, 'src', 'alpha_divergence.c')
    const text = readFileSync(source, 'utf8')
    expect(text).toContain(right)
    writeFileSync(source, text.replace(right, wrong))
    try {
      expect(npm('build').status).toBe(0)
      const { status, output } = npm('test')
      expect(status).not.toBe(0)
      expect(output).toMatch(finds)
    } finally {
      writeFileSync(source, text)
    }
  })
})
