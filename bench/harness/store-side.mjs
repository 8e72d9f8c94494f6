// One phase of the bench of the store, in a process of its own: settings in argv, one JSON line out.
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { batches, fillStore, fromStore, openStore } from '@imago/data'
import { softTarget, topKSoftTarget } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { sgd } from '@imago/optim'
import { openStudent, predictor } from '@imago/runtime'
import { fromPredict, rng, tensor } from '@imago/tensor'
import { forgetPeak, peak } from './peak.mjs'

const { phase, folder, rows, classes, inputs, hidden, batch, threads, encoding, bytes, shardBytes } = JSON.parse(
  process.argv[2],
)

/** Rows that are made when they are asked for: any number of them takes no memory. */
const data = {
  length: rows,
  classes,
  rows(indices) {
    const values = new Float32Array(indices.length * inputs)
    for (let r = 0, at = 0; r < indices.length; r++)
      for (let i = 0; i < inputs; i++, at++)
        values[at] = (Math.imul(indices[r] * inputs + i + 1, 0x9e3779b1) >>> 8) / 2 ** 23 - 1
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
  /** Training steps whose targets come from the store, in the order of an epoch; how long a step and how long its targets take. */
  async read() {
    const store = await openStore(folder)
    const source = fromStore(store, whole)
    const student = await openStudent(network(2, 800, 800), { threads })
    const loss = encoding.kind === 'full' ? softTarget(whole) : topKSoftTarget(whole)
    const optimizer = sgd({ rate: 0.01, momentum: 0.9 })
    const walk = batches(data, { size: 128, rng: rng(1) })
    const times = { read: [], step: [] }
    forgetPeak()
    let step = 0
    for await (const { ids, inputs: given } of walk.epoch(0)) {
      const start = performance.now()
      const targets = await source({ ids, inputs: given })
      const read = performance.now()
      const { outputs, pullback } = await student.differentiable.forward(student.parameters, given, {})
      const { cotangents } = loss.evaluate(outputs, targets)
      optimizer.step(student.parameters, await pullback(cotangents), { step, epoch: 0, stepsPerEpoch: 1000, epochs: 1 })
      if (step++ >= 20) {
        times.read.push(read - start)
        times.step.push(performance.now() - read)
      }
      if (step === 320) break
    }
    await Promise.all([store.close(), student.dispose()])
    return { times, peak: peak() }
  },
}
const result = await phases[phase]()
const { user, system } = process.cpuUsage()
console.log(JSON.stringify({ ...result, cpu: (user + system) / 1e6 }))
