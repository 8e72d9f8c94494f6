// imago's side of a benchmark: a JSON line in, a JSON line out.
import { createInterface } from 'node:readline'
import { backends } from '@imago/kernels'
import { rows } from '../rows/index.mjs'
import { writeNumbers } from './numbers.mjs'
import { installClock, measureOverhead } from './overhead.mjs'
import { forgetPeak, peak, resident } from './peak.mjs'

let prepared
let clock = false
let before = 0

const ops = {
  hello: () => ({ node: process.version, backends: backends() }),
  async prepare({ row, settings, folder, threads, variant, memory, peak: peaking }) {
    await prepared?.dispose?.()
    // Only where it is asked for: it costs what a small call costs.
    if (rows[row].overhead && !clock) installClock()
    clock ||= rows[row].overhead === true
    // A first call of everything, on nothing: what it loads and compiles is no memory of the case.
    if (memory) await (await rows[row].prepare({ ...settings, rows: 2, classes: 8, depth: 4, k: 4 }, folder)).run()
    if (peaking) await rows[row].warm()
    before = resident()
    prepared = await rows[row].prepare(settings, folder, { threads, variant })
    return { facts: prepared.facts }
  },
  async check({ folder, prefix }) {
    const { value, tensors } = await prepared.check()
    for (const [name, data] of Object.entries(tensors)) writeNumbers(folder, `${prefix}-${name}`, data)
    return { value, tensors: Object.keys(tensors) }
  },
  async time({ iterations }) {
    const start = performance.now()
    await prepared.run(iterations)
    return { milliseconds: (performance.now() - start) / iterations }
  },
  async peak() {
    forgetPeak()
    const start = performance.now()
    const outcome = await prepared.run()
    return { milliseconds: performance.now() - start, bytes: peak() - before, ...outcome }
  },
  outcome: async () => ({ value: await prepared.outcome() }),
  overhead: ({ iterations }) => measureOverhead(() => prepared.run(iterations), iterations),
  async growth({ steps, samples }) {
    const points = []
    for (let i = 0; i <= samples; i++) {
      // Twice: what finalizers free is only counted after the second.
      globalThis.gc?.()
      await new Promise((resolve) => setImmediate(resolve))
      globalThis.gc?.()
      points.push([(i * steps) / samples, process.memoryUsage.rss()])
      if (i < samples) await prepared.run(steps / samples)
    }
    return { points }
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...body } = JSON.parse(line)
  try {
    process.stdout.write(`${JSON.stringify(await ops[op](body))}\n`)
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error?.message ?? error) })}\n`)
  }
}
await prepared?.dispose?.()
