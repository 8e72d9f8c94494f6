import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digits } from '@imago/data'
import { claimRunFolder } from '@imago/trainer'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type DemoOptions, type DemoResult, demo, demoProtocol } from '../../src/index.js'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-demo-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const protocol = {
  ...demoProtocol,
  batch: 50,
  teacher: { ...demoProtocol.teacher, hidden: [64], epochs: 4 },
  student: { ...demoProtocol.student, hidden: [12], epochs: 4 },
}
const data = digits({ seed: 3, train: 600, test: 200 })

async function run(name: string, options: Partial<DemoOptions> = {}): Promise<DemoResult> {
  const folder = await claimRunFolder(join(root, name), { test: 'demo' })
  try {
    let now = 0
    const events = demo({ data, folder, seed: 5, protocol, threads: 1, clock: () => now++, ...options })
    for (;;) {
      const next = await events.next()
      if (next.done) return next.value
      if (next.value.kind === 'report' && next.value.report.kind === 'step' && next.value.job === 'student on labels')
        if (next.value.report.step === 30) await options.signal?.dispatchEvent(new Event('step 30'))
    }
  } finally {
    await folder.release()
  }
}

it('trains three models, writes them, and measures the files; a stopped run ends as the undisturbed one', async () => {
  const whole = await run('whole')
  expect(whole.rows.map(({ name }) => name)).toEqual(['teacher', 'student on labels', 'student distilled'])
  for (const row of whole.rows) {
    expect((await stat(join(root, 'whole', row.file))).size).toBe(row.bytes)
    expect(row.rows).toBe(200)
  }
  expect(whole.rows.map(({ parameters }) => parameters)).toEqual([
    784 * 64 + 64 + 64 * 10 + 10,
    784 * 12 + 12 + 12 * 10 + 10,
    784 * 12 + 12 + 12 * 10 + 10,
  ])
  expect(whole.rows[0]!.agreement).toBe(1)
  expect(whole.rows[2]!.agreement).toBeLessThan(1)
  const [a, b, c] = whole.rows.map(({ errors }) => errors) as [number, number, number]
  expect(whole.ratio).toBe(b / a)
  expect(whole.gapClosed).toBe((b - c) / (b - a))

  const stop = new AbortController()
  stop.signal.addEventListener('step 30', () => stop.abort(new Error('enough')))
  await expect(run('stopped', { signal: stop.signal })).rejects.toThrow('enough')
  const again = await run('stopped')
  const bare = ({ rows }: DemoResult) => rows.map(({ latency: _, ...row }) => row)
  expect(bare(again)).toEqual(bare(whole))
  for (const name of ['teacher.onnx', 'student.onnx', 'student-on-labels.onnx'])
    expect((await readFile(join(root, 'stopped', name))).equals(await readFile(join(root, 'whole', name)))).toBe(true)
  const steps = async (name: string) =>
    (await readFile(join(root, name, 'metrics.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .map(({ task, epoch, loss }) => [task, epoch, loss])
  expect(await steps('stopped')).toEqual(await steps('whole'))
})
