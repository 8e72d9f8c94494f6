import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

/** Every example is a script that runs, against the built packages. */
const examples = fileURLToPath(new URL('../../examples', import.meta.url))

describe('examples', () => {
  it.each(readdirSync(examples).filter((name) => /^[^.].*\.mjs$/.test(name)))('%s', (name) => {
    expectRuns(join(examples, name))
  })

  it('the example of the README', () => {
    const readme = readFileSync(join(examples, '..', 'README.md'), 'utf8')
    const script = join(examples, '.readme.mjs')
    writeFileSync(script, /```js\n([\s\S]*?)```/.exec(readme)![1]!)
    try {
      expectRuns(script)
    } finally {
      rmSync(script)
    }
  })
})

function expectRuns(script: string): void {
  const work = mkdtempSync(join(tmpdir(), 'imago-example-'))
  const ran = spawnSync(process.execPath, [script], { cwd: work, encoding: 'utf8' })
  expect(ran.status, ran.stderr).toBe(0)
  expect(ran.stdout.trim()).not.toBe('')
}
