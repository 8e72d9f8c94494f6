// One phase of the bench of the store, in a process of its own: settings in argv, one JSON line out.
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { batches, fillStore, fromStore, openStore, readAhead } from '@imago/data'
import { softTarget, topKSoftTarget } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { sgd } from '@imago/optim'
import { openStudent, predictor } from '@imago/runtime'
import { fromPredict, rng, tensor } from '@imago/tensor'
import { forgetPeak, peak } from './peak.mjs'

const { phase, folder, rows, classes, inputs, hidden, batch, threads, encoding, bytes, shardBytes } = JSON.parse(
  process.argv[2],
)

/** Noise that all rows are cut from, each at another place: any number of them takes no memory, and making one is a copy. */
const noise = new Float32Array(2 ** 20)
for (let i = 0; i < noise.length; i++) noise[i] = (Math.imul(i + 1, 0x9e3779b1) >>> 8) / 2 ** 23 - 1
const data = {
  length: rows,
  classes,
  rows(indices) {
    const values = new Float32Array(indices.length * inputs)
    for (let r = 0; r < indices.length; r++) {
      const from = (indices[r] * 127) % (noise.length - inputs)
      values.set(noise.subarray(from, from + inputs), r * inputs)
      values[r * inputs] = indices[r] / rows
    }
    return { ids: indices.slice(), inputs: { input: tensor('float32', [indices.length, inputs], values) } }
  },
}
const network = (seed, ...widths) => mlp([inputs, ...widths, classes], { rng: rng(seed) })
const whole = { temperature: 4 }
const range = (from, to) => Uint32Array.from({ length: to - from }, (_, i) => from + i)

/** The teacher, warm; without a hidden layer it is no network: the same logits for every batch. */
async function open() {
  if (hidden.length === 0) {
    const random = rng(3)
    const logits = Float32Array.from({ length: batch * classes }, () => 8 * random.uniform() - 4)
    const answer = async ({ input }) => {
      const [count] = input.dims
      return { logits: tensor('float32', [count, classes], logits.subarray(0, count * classes)) }
    }
    return Object.assign(answer, { dispose: async () => undefined })
  }
  const teacher = await predictor(network(1, ...hidden), { threads, batchSize: batch })
  await teacher(data.rows(range(0, batch)).inputs)
  return teacher
}

const phases = {
  /** As many bytes as the store takes, one after another, each file of a shard's size made durable: what the disk does. */
  plain() {
    mkdirSync(folder, { recursive: true })
    const chunk = new Uint8Array(2 ** 20)
    for (let i = 0; i < chunk.length; i += 4) chunk[i] = i >> 12
    const start = performance.now()
    for (let written = 0, file = 0; written < bytes; file++) {
      const out = openSync(join(folder, `plain-${file}`), 'w')
      for (let at = 0; at < shardBytes && written < bytes; at += chunk.length, written += chunk.length)
        writeSync(out, chunk)
      fsyncSync(out)
      closeSync(out)
    }
    return { seconds: (performance.now() - start) / 1000 }
  },
  /** The teacher alone: its answers are thrown away. */
  async teacher() {
    const teacher = await open()
    const start = performance.now()
    for (let from = 0; from < rows; from += batch)
      await teacher(data.rows(range(from, Math.min(rows, from + batch))).inputs)
    const seconds = (performance.now() - start) / 1000
    await teacher.dispose()
    return { seconds }
  },
  async teach() {
    const teacher = await open()
    forgetPeak()
    const options = { folder, data, targets: fromPredict(teacher), classes, teacher: 'bench', encoding, batch }
    const start = performance.now()
    for await (const _ of fillStore({ ...options, clock: () => performance.now() }));
    const seconds = (performance.now() - start) / 1000
    await teacher.dispose()
    return { seconds, peak: peak() }
  },
  /**
   * Training steps in the random order of an epoch, each from the end of the one before to its own: with targets from the store that are read ahead, and with
   * targets in hand, in turn; then how long targets take that are asked for when they are wanted. No row is read twice.
   */
  async read() {
    const store = await openStore(folder, { threads: 4 })
    const source = fromStore(store, whole)
    const student = await openStudent(network(2, 800, 800), { threads })
    const loss = encoding.kind === 'full' ? softTarget(whole) : topKSoftTarget(whole)
    const optimizer = sgd({ rate: 0.01, momentum: 0.9 })
    const walk = batches(data, { size: 128, rng: rng(1) })
    let held
    const inHand = async (query) => {
      if (held?.rows !== query.ids.length) held = { rows: query.ids.length, targets: await source(query) }
      return held.targets
    }
    const ahead = readAhead({ data: walk, targets: source })
    let step = 0
    const times = { step: [], ahead: [], wait: [], read: [] }
    const steps = async (data, targets, total, waited) => {
      let [count, last] = [0, performance.now()]
      for await (const { ids, inputs: given } of data) {
        const asked = performance.now()
        const wanted = await targets({ ids, inputs: given })
        const wait = performance.now() - asked
        const { outputs, pullback } = await student.differentiable.forward(student.parameters, given, {})
        const { cotangents } = loss.evaluate(outputs, wanted)
        const at = { step: step++, epoch: 0, stepsPerEpoch: 1000, epochs: 1 }
        optimizer.step(student.parameters, await pullback(cotangents), at)
        const now = performance.now()
        // The first steps of each turn fill what is read ahead.
        if (count++ >= 5) {
          total?.push(now - last)
          waited?.push(wait)
        }
        last = now
        if (count === 55) break
      }
    }
    await steps(walk.epoch(1), inHand)
    forgetPeak()
    for (let turn = 0; turn < 6; turn++) {
      await steps(ahead.data.epoch(0, turn * 120), ahead.targets, times.ahead, times.wait)
      await steps(walk.epoch(0, turn * 120 + 60), inHand, times.step)
    }
    const most = peak()
    for (let turn = 0; turn < 4; turn++) await steps(walk.epoch(0, turn * 120 + 60), source, undefined, times.read)
    await Promise.all([store.close(), student.dispose()])
    return { times, peak: most }
  },
}
const result = await phases[phase]()
const { user, system } = process.cpuUsage()
console.log(JSON.stringify({ ...result, cpu: (user + system) / 1e6 }))
