import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { onCpuAlone } from '../../packages/kernels/src/signatures.js'
import { manifestOf, rooms, root, sources } from './cruise.js'

/** What every package owes to who installs it, and what no package takes from the process that it runs in. */
describe('packages', () => {
  it.each([...rooms.map((room) => `packages/${room}`), 'native'])(
    '%s: licence, README with an example, files',
    (folder) => {
      const manifest = manifestOf(folder)
      expect(manifest.license).toBe('Apache-2.0')
      expect(readFileSync(join(root, folder, 'LICENSE'), 'utf8')).toContain('Apache License')
      expect(readFileSync(join(root, folder, 'README.md'), 'utf8')).toMatch(/```js\n[\s\S]*console\.log/)
      expect(manifest.files?.length).toBeGreaterThan(0)
      for (const step of ['preinstall', 'install', 'postinstall', 'prepare'])
        expect(manifest.scripts).not.toHaveProperty(step)
    },
  )

  it('the environment is read by the command line and by the loader of the addon, and by nobody else', () => {
    const readers = rooms
      .flatMap((room) => sources(`packages/${room}/src`))
      .filter((path) =>
        /process\s*(\?\.|\.)\s*env\b|process\[|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b|import[^;]*\benv\b[^;]*'node:process'/.test(
          read(path),
        ),
      )
    expect(readers.filter((path) => !/^packages\/(cli\/src|kernels\/src\/loader)\//.test(path))).toEqual([])
    expect(readers).toContain('packages/kernels/src/loader/load.ts')
    expect(readers).toContain('packages/cli/src/context.ts')
  })

  it('nothing is random, or asks for the time of day, by itself', () => {
    const users = rooms
      .flatMap((room) => sources(`packages/${room}/src`))
      .filter((path) => /Math\.random\(|Date\.now\(|new Date\(/.test(read(path)))
    expect(users).toEqual([])
  })

  it('a bin is a file of the repository', () => {
    expect(existsSync(join(root, 'packages/cli/bin/imago.js'))).toBe(true)
    expect(read('packages/cli/bin/imago.js')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })
})

/** One stem in every room. */
describe('kernels', () => {
  const stems = [...read('packages/kernels/src/signatures.ts').matchAll(/^ {2}(\w+): \{/gm)].map(([, stem]) => stem!)

  const folder = 'native/src/registry/builtin'
  const rows = readdirSync(join(root, folder)).map((file) => read(`${folder}/${file}`))

  it('are found in the table', () => {
    expect(stems).toEqual(expect.arrayContaining(['softmax', 'soft_target_loss', 'sgd', 'jitter']))
    expect(stems.length).toBeGreaterThanOrEqual(9)
  })

  it.each(stems)('%s has its definition, its face, its C++ and its row', (stem) => {
    for (const path of [
      `packages/kernels/src/reference/${stem}.ts`,
      `packages/kernels/src/faces/${stem}.ts`,
      `native/src/cpu/${stem}.cc`,
    ])
      expect(existsSync(join(root, path)), path).toBe(true)
    expect(rows.filter((text) => text.includes(`{"${stem}"`))).toHaveLength(1)
    // A kernel without code for GPUs says why, in the table of the signatures.
    expect(existsSync(join(root, `native/src/cuda/${stem}.cu`)), `${stem}.cu`).toBe(!(stem in onCpuAlone))
    expect(read('packages/kernels/src/testing/tables.ts')).toMatch(new RegExp(`^ {2}${stem}:`, 'm'))
  })
})

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
