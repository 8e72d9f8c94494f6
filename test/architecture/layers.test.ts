import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Cruise, cruise, manifestOf, rooms, root, sources } from './cruise.js'

/** Who imports whom. The rules are those of `npm run check`; here they are shown to see every file, and to bite. */
describe('layers', () => {
  let found: Cruise
  beforeAll(() => {
    found = cruise(root)
  })

  it('every source file was looked at, and every import goes to a lower layer', () => {
    const seen = new Set(found.modules.map(({ source }) => source))
    const all = rooms.flatMap((room) => sources(`packages/${room}/src`))
    expect(all.length).toBeGreaterThan(200)
    expect(all.filter((path) => !seen.has(path))).toEqual([])
    expect(found.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual([])
  })

  it('every package has its line in the table', () => {
    const table = readFileSync(join(root, '.dependency-cruiser.cjs'), 'utf8')
    expect(rooms.filter((room) => !new RegExp(`^ {2}${room}: \\[`, 'm').test(table))).toEqual([])
  })

  it('the doors are seen: fs and onnxruntime-node where they may be imported', () => {
    const importers = (vendor: RegExp): string[] =>
      found.modules
        .filter(({ dependencies }) => dependencies.some(({ resolved }) => vendor.test(resolved)))
        .map(({ source }) => source)
    expect(importers(/onnxruntime-node/)).toEqual(['packages/runtime/src/onnxruntime.ts'])
    expect(importers(/^(node:)?fs/).length).toBeGreaterThan(5)
  })

  it('what a package imports, its package.json names', () => {
    const missing = found.modules.flatMap(({ source, dependencies }) => {
      const own = /^packages\/([^/]+)\//.exec(source)?.[1]
      if (own === undefined) return []
      const declared = manifestOf(`packages/${own}`).dependencies ?? {}
      return dependencies.flatMap(({ resolved }) => {
        const other = /^packages\/([^/]+)\//.exec(resolved)?.[1]
        return other === undefined || other === own || `@imago/${other}` in declared ? [] : [`${source} → ${other}`]
      })
    })
    expect(missing).toEqual([])
  })

  it('an import that goes up, and one past a door, are found', () => {
    const work = mkdtempSync(join(tmpdir(), 'imago-layers-'))
    for (const room of ['losses', 'trainer']) mkdirSync(join(work, 'packages', room, 'src'), { recursive: true })
    for (const file of ['tsconfig.test.json', 'tsconfig.base.json']) copyFileSync(join(root, file), join(work, file))
    writeFileSync(join(work, 'vitest.config.ts'), '')
    writeFileSync(join(work, 'packages/trainer/src/index.ts'), 'export const up = 1\n')
    writeFileSync(
      join(work, 'packages/losses/src/index.ts'),
      [
        "import { readFileSync } from 'node:fs'",
        "import { open } from 'node:fs/promises'",
        "import 'onnxruntime-node'",
        "import { up } from '../../trainer/src/index.js'",
        'export const all = [readFileSync, open, up]',
      ].join('\n'),
    )
    try {
      const broken = cruise(work).summary.violations.map(({ rule, to }) => `${rule.name.split(':')[0]} ${to}`)
      expect(broken).toEqual(
        expect.arrayContaining([
          'layers packages/trainer/src/index.ts',
          'door fs',
          'door fs/promises',
          'door onnxruntime-node',
        ]),
      )
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  })
})
