import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rng } from '@imago/tensor'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, expect, it } from 'vitest'

let folder: string
let script: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imago-kill-'))
  script = join(folder, 'child.mjs')
  // A process of its own needs JavaScript: the child and the sources it imports, in one file.
  const bundle = await rolldown({
    input: fileURLToPath(new URL('kill-child.ts', import.meta.url)),
    platform: 'node',
    external: ['onnxruntime-node'],
    resolve: { conditionNames: ['@imago/source', 'node', 'import', 'module', 'default'] },
    logLevel: 'silent',
  })
  await bundle.write({ file: script, format: 'esm', codeSplitting: false })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Run the child; kill it after so many reports and milliseconds. True where it came to its end by itself. */
async function child(run: string, reports = Number.POSITIVE_INFINITY, delay = 0): Promise<boolean> {
  const process_ = spawn(process.execPath, [script, run], { env: { ...process.env, IMAGO_NATIVE: 'off' } })
  let [seen, errors] = [0, '']
  process_.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString().split('\n').length - 1
    if (seen >= reports) setTimeout(() => process_.kill('SIGKILL'), delay)
  })
  process_.stderr.on('data', (chunk: Buffer) => {
    errors += chunk
  })
  const [code, signal] = (await once(process_, 'close')) as [number | null, string | null]
  if (signal === 'SIGKILL') return false
  if (code !== 0) throw new Error(errors)
  return true
}

it('kill -9 at any moment costs no bit and no line', async () => {
  const [whole, killed] = [join(folder, 'whole'), join(folder, 'killed')]
  expect(await child(whole)).toBe(true)
  const random = rng(2026)
  let kills = 0
  while (!(await child(killed, 1 + random.integer(16), random.uniform() * 4))) kills++
  expect(kills).toBeGreaterThan(2)
  for (const name of ['weights.sha256', 'metrics.jsonl'])
    expect(await readFile(join(killed, name), 'utf8')).toBe(await readFile(join(whole, name), 'utf8'))
  expect((await readdir(killed)).sort()).toEqual((await readdir(whole)).sort())
})
