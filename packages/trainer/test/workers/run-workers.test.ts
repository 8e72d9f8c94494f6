import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ArgumentError, StateError } from '@imago/tensor'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  type RunWorkersOptions,
  runWorkers,
  serveWorker,
  type WorkerEvent,
  type WorkersResult,
} from '../../src/index.js'

let folder: string
let script: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imago-workers-'))
  script = join(folder, 'child.mjs')
  // A process of its own needs JavaScript: the child and the sources it imports, in one file.
  const bundle = await rolldown({
    input: fileURLToPath(new URL('child.ts', import.meta.url)),
    platform: 'node',
    external: ['onnxruntime-node'],
    resolve: { conditionNames: ['@imago/source', 'node', 'import', 'module', 'default'] },
    logLevel: 'silent',
  })
  await bundle.write({ file: script, format: 'esm', codeSplitting: false })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function drained(options: Omit<RunWorkersOptions, 'script'>): Promise<WorkersResult & { events: WorkerEvent[] }> {
  const events: WorkerEvent[] = []
  const all = runWorkers({ ...options, script, execArgv: [] })
  for (;;) {
    const { value, done } = await all.next()
    if (done) return { ...value, events }
    events.push(value)
  }
}

const task = (name: string, kind: string): { name: string; task: { kind: string; folder: string } } => ({
  name,
  task: { kind, folder: join(folder, name) },
})

it('does every task in a process of its own; what fails or dies costs no other, and goes on to the same bits', async () => {
  const tasks = [
    task('whole', 'trains'),
    task('b', 'throws'),
    task('c', 'dies'),
    task('d', 'falls'),
    task('e', 'trains'),
  ]
  const first = await drained({ tasks, workers: 2 })
  expect([...first.results.keys()].sort()).toEqual(['e', 'whole'])
  expect(first.failures.get('b')).toBe('there is no such thing')
  expect(first.failures.get('c')).toMatch(/SIGKILL/)
  expect(first.failures.get('d')).toMatch(/ended with 7/)
  const { hash } = first.results.get('whole')!
  expect(hash).toMatch(/^[0-9a-f]{64}$/)
  expect(first.results.get('e')!.hash).toBe(hash)

  // Never more than two at a time, and reports of both in one stream.
  let [now, most] = [0, 0]
  for (const { kind } of first.events) {
    if (kind === 'begins') most = Math.max(most, ++now)
    if (kind === 'done' || kind === 'failed') now--
  }
  expect(most).toBe(2)
  const epochs = (name: string): number[] =>
    first.events.flatMap((event) =>
      event.kind === 'report' && event.task === name && event.report.kind === 'epoch' ? [event.report.epoch] : [],
    )
  expect(epochs('whole')).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  const last = first.events.at(-1)!
  expect(last).toMatchObject({ done: 2, failed: 3, of: 5 })

  // The one that fell goes on from its checkpoint, in another process.
  const again = await drained({ tasks: [task('d', 'trains')], workers: 1 })
  expect(again.events.find((event) => event.kind === 'report' && event.report.kind === 'resume')).toMatchObject({
    report: { step: 30 },
  })
  expect(again.results.get('d')!.hash).toBe(hash)
})

it('stops all when it is told to; each has written where it was, and goes on from there', async () => {
  const stop = new AbortController()
  const tasks = [task('f', 'waits'), task('g', 'waits')]
  const all = runWorkers({ tasks, workers: 2, script, execArgv: [], signal: stop.signal })
  const steps = new Map<string, number>()
  const reason = new Error('enough')
  const read = async (): Promise<void> => {
    for await (const event of all) {
      if (event.kind !== 'report' || event.report.kind !== 'checkpoint') continue
      steps.set(event.task, event.report.step)
      if (steps.get('f') === 18 && steps.get('g') === 18) stop.abort(reason)
    }
  }
  await expect(read()).rejects.toBe(reason)
  for (const name of ['f', 'g']) {
    const files = await readdir(join(folder, name))
    expect(files.filter((file) => file.startsWith('run.lock'))).toEqual([])
    expect(files.some((file) => /^checkpoint-0*(18|19|20)\.imago$/.test(file))).toBe(true)
  }
  const after = await drained({ tasks: [task('f', 'trains'), task('w', 'trains')], workers: 2 })
  expect(after.results.get('f')).toEqual(after.results.get('w'))
})

it('refuses tasks of one name, and no workers', async () => {
  await expect(drained({ tasks: [task('a', 'throws'), task('a', 'throws')], workers: 1 })).rejects.toThrow(
    ArgumentError,
  )
  await expect(drained({ tasks: [task('a', 'throws')], workers: 0 })).rejects.toThrow(/workers/)
  await expect(serveWorker(() => expect.fail('is not called'), { on: () => undefined })).rejects.toThrow(StateError)
})
