import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/**
 * Each package, packed as npm would publish it and installed into an empty project, runs the example of its README.
 * Packages that are not published yet come from the tarballs beside it; onnxruntime-node is linked, since it is the
 * user's own dependency and unpacks to hundreds of megabytes.
 */
const root = fileURLToPath(new URL('../..', import.meta.url))
const rooms = readdirSync(join(root, 'packages'))
let workshop: string
const tarballs = new Map<string, string>()

interface Manifest {
  readonly name: string
  readonly dependencies?: { readonly [name: string]: string }
  readonly peerDependencies?: { readonly [name: string]: string }
}

beforeAll(() => {
  workshop = mkdtempSync(join(tmpdir(), 'imago-install-'))
  for (const folder of ['native', ...rooms.map((room) => `packages/${room}`)]) {
    const packed = npm(['pack', '--json', '--pack-destination', workshop], join(root, folder))
    const [{ name, filename }] = JSON.parse(packed) as [{ name: string; filename: string }]
    tarballs.set(name, join(workshop, filename.replace('@', '').replace('/', '-')))
  }
}, 240_000)

afterAll(() => rmSync(workshop, { recursive: true, force: true }))

describe.each(rooms)('@imago/%s', (room) => {
  it('installs into an empty project and runs its README example', { timeout: 180_000 }, () => {
    const example = exampleOf(join(root, 'packages', room, 'README.md'))
    const project = emptyProject(room)
    install(
      project,
      closure(`@imago/${room}`).map((name) => tarballs.get(name)!),
    )
    const ort = join(project, 'node_modules', 'onnxruntime-node')
    if (!existsSync(ort)) symlinkSync(join(root, 'node_modules', 'onnxruntime-node'), ort)
    writeFileSync(join(project, 'example.mjs'), example)
    const ran = spawnSync(process.execPath, ['example.mjs'], {
      cwd: project,
      encoding: 'utf8',
      env: plainEnvironment(),
    })
    expect(ran.stderr + ran.stdout, 'the example prints something').not.toBe('')
    expect(ran.status, ran.stderr).toBe(0)
    expect(ran.stdout.trim()).not.toBe('')
  })
})

describe('the platform package', () => {
  const addon = join(root, 'native', 'build', 'Release', 'imago_native.node')

  it.skipIf(!existsSync(addon))(
    'brings the native kernels to a machine without a compiler',
    { timeout: 180_000 },
    () => {
      const packed = spawnSync(process.execPath, [join(root, 'scripts', 'pack-native.mjs')], {
        encoding: 'utf8',
        env: plainEnvironment(),
      })
      expect(packed.status, packed.stderr).toBe(0)
      const platform = /\S+\.tgz/.exec(packed.stdout)![0]
      const project = emptyProject('platform')
      install(project, [...closure('@imago/kernels').map((name) => tarballs.get(name)!), platform])
      const script = "import { backends } from '@imago/kernels'; console.log(JSON.stringify(backends()[0]))"
      const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
        cwd: project,
        encoding: 'utf8',
        env: { ...plainEnvironment(), PATH: '/nonexistent' },
      })
      expect(ran.status, ran.stderr).toBe(0)
      expect(JSON.parse(ran.stdout)).toMatchObject({ name: 'cpu', available: true, chosen: true })
    },
  )
})

function emptyProject(name: string): string {
  const project = join(workshop, `project-${name}`)
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }))
  return project
}

function install(project: string, packages: readonly string[]): void {
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--omit=peer']
  npm(['install', ...flags, ...packages], project)
}

function exampleOf(readme: string): string {
  const found = /```js\n([\s\S]*?)```/.exec(readFileSync(readme, 'utf8'))
  if (found === null) throw new Error(`${readme} has no js example`)
  return found[1]!
}

/** A package and every @imago package that it stands on. */
function closure(name: string): string[] {
  const seen = new Set<string>()
  const visit = (at: string): void => {
    if (seen.has(at)) return
    seen.add(at)
    for (const dependency of Object.keys(manifestOf(at).dependencies ?? {}))
      if (tarballs.has(dependency)) visit(dependency)
  }
  visit(name)
  return [...seen]
}

function manifestOf(name: string): Manifest {
  const folder = name === '@imago/native' ? 'native' : name.replace('@imago/', 'packages/')
  return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Manifest
}

function npm(args: string[], cwd: string): string {
  const ran = spawnSync('npm', args, { cwd, encoding: 'utf8', env: plainEnvironment() })
  if (ran.status !== 0) throw new Error(`npm ${args.join(' ')} in ${cwd}:\n${ran.stderr}${ran.stdout}`)
  return ran.stdout
}

/** The environment without what the outer npm and vitest put there. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|VITEST|NODE_ENV|NODE_OPTIONS|IMAGO_NATIVE)/.test(name),
  )
  return Object.fromEntries(kept)
}
