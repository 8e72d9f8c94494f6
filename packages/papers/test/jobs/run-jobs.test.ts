import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FormatError, StateError } from '@imago/tensor'
import type { JsonObject } from '@imago/trainer'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Job, type RecipeEvent, runJobs } from '../../src/index.js'

let runDir: string
beforeEach(async () => {
  runDir = await mkdtemp(join(tmpdir(), 'imago-jobs-'))
})
afterEach(() => rm(runDir, { recursive: true, force: true }))

/** Jobs that add up what they need; `ran` holds the names in the order in which they were worked on. */
function sums(plan: { readonly [name: string]: readonly string[] }, ran: string[], config: JsonObject = {}): Job[] {
  return Object.entries(plan).map(([name, needs]) => ({
    name,
    needs,
    config: { name, ...config },
    async *run({ folder, file }) {
      ran.push(name)
      for (const other of needs) expect(file(other, 'x')).toBe(join(runDir, other, 'x'))
      for (let step = 1; step <= 3; step++) {
        await new Promise((resolve) => setImmediate(resolve))
        yield { kind: 'warning', message: `${name} ${step}` }
      }
      await folder.write('mine.txt', name)
      return { value: needs.length + 1 }
    },
  }))
}

async function drain(
  run: AsyncGenerator<RecipeEvent, ReadonlyMap<string, JsonObject>>,
): Promise<{ events: RecipeEvent[]; results: ReadonlyMap<string, JsonObject> }> {
  const events: RecipeEvent[] = []
  for (;;) {
    const next = await run.next()
    if (next.done) return { events, results: next.value }
    events.push(next.value)
  }
}

const plan = { c: ['a', 'b'], a: [], b: ['a'] }
const wait = () => new Promise((resolve) => setImmediate(resolve))

describe('runJobs', () => {
  it('does each job after those that it needs, and reads its result the next time', async () => {
    const ran: string[] = []
    const { events, results } = await drain(runJobs(sums(plan, ran), { runDir }))
    expect(ran).toEqual(['a', 'b', 'c'])
    expect([...results].sort()).toEqual([
      ['a', { value: 1 }],
      ['b', { value: 2 }],
      ['c', { value: 3 }],
    ])
    expect(events.filter(({ kind }) => kind === 'report')).toHaveLength(9)
    const again = await drain(runJobs(sums(plan, ran), { runDir }))
    expect(ran).toHaveLength(3)
    expect(again.results.get('c')).toEqual({ value: 3 })
    expect(again.events.every((event) => event.kind === 'job' && event.state === 'found')).toBe(true)
  })

  it('is shared by several runners: each job is done once, all get all results', async () => {
    const ran: string[] = []
    const many = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`j${i}`, i > 3 ? [`j${i - 4}`] : []]))
    const all = await Promise.all(Array.from({ length: 4 }, () => drain(runJobs(sums(many, ran), { runDir, wait }))))
    expect(ran.sort()).toEqual(Object.keys(many).sort())
    for (const { results } of all) expect(results.size).toBe(12)
    expect((await readdir(join(runDir, 'j3'))).sort()).toEqual(['mine.txt', 'result.json', 'run.json'])
  })

  it('gives a job back that failed, and takes it up again', async () => {
    const ran: string[] = []
    const [failing] = sums({ a: [] }, ran)
    const broken: Job = {
      ...failing!,
      async *run() {
        yield { kind: 'warning', message: 'soon' }
        throw new Error('no disk')
      },
    }
    await expect(drain(runJobs([broken], { runDir }))).rejects.toThrow('no disk')
    const { results } = await drain(runJobs([failing!], { runDir }))
    expect(results.get('a')).toEqual({ value: 1 })
  })

  it('refuses results and folders of other options, and results that are broken', async () => {
    const ran: string[] = []
    await drain(runJobs(sums({ a: [] }, ran, { epochs: 10 }), { runDir }))
    const other = drain(runJobs(sums({ a: [] }, ran, { epochs: 60 }), { runDir }))
    await expect(other).rejects.toThrow(StateError)
    await expect(other).rejects.toThrow(/epochs: 10 there, 60 here/)
    await writeFile(join(runDir, 'a', 'result.json'), '{"config"')
    await expect(drain(runJobs(sums({ a: [] }, ran, { epochs: 10 }), { runDir }))).rejects.toThrow(FormatError)
  })

  it('refuses jobs that need what nobody does, and would be waited for', async () => {
    const ran: string[] = []
    await expect(drain(runJobs(sums({ b: ['a'] }, ran), { runDir }))).rejects.toThrow(/with a, which b needs/)
    expect(ran).toEqual([])
  })

  it('stops at the signal while it waits', async () => {
    const stop = new AbortController()
    const ran: string[] = []
    const held = runJobs(sums({ a: [] }, ran), { runDir })
    await held.next()
    const waiting = runJobs(sums({ a: [] }, ran), { runDir, signal: stop.signal })
    expect((await waiting.next()).value).toMatchObject({ state: 'elsewhere' })
    setImmediate(() => stop.abort(new Error('enough')))
    await expect(waiting.next()).rejects.toThrow('enough')
    await held.return(new Map())
  })
})
