import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hardLabel } from '@imago/losses'
import { decode, encode } from '@imago/onnx'
import { sgd } from '@imago/optim'
import { exportModel, openStudent } from '@imago/runtime'
import { rng, tensor } from '@imago/tensor'
import * as node from 'onnxruntime-node'
import { beforeAll, expect, it } from 'vitest'
import { drawn, filled, type Golden } from '../golden/students/golden.js'

/** A convolutional student after a few steps of training, as it is saved and as it is served: one file, one result, wherever it runs. */
const folder = fileURLToPath(new URL('../golden/students/', import.meta.url))
const work = mkdtempSync(join(tmpdir(), 'imago-serving-'))
const dims = [5, 3, 16, 16]
const input = drawn(rng(9), 'rows', dims)
const files: { readonly name: string; readonly bytes: Uint8Array }[] = []
let logits: Float32Array

beforeAll(async () => {
  const golden = JSON.parse(readFileSync(`${folder}resnet8x4.json`, 'utf8')) as Golden
  const start = filled(readFileSync(`${folder}resnet8x4.dynamo.onnx`), golden, rng(golden.seed).split('resnet8x4'))
  const student = await openStudent(start, { threads: 1 })
  const optimizer = sgd({ rate: 0.05, momentum: 0.9 })
  const loss = hardLabel()
  const [name = ''] = Object.keys(golden.inputs)
  const labels = tensor('int32', [5], Int32Array.of(0, 1, 2, 3, 4))
  for (let step = 0; step < 5; step++) {
    const { outputs, updates, pullback } = await student.differentiable.forward(student.parameters, { [name]: input })
    const { cotangents } = loss.evaluate(outputs, { labels })
    const at = { step, epoch: 0, stepsPerEpoch: 5, epochs: 1 }
    optimizer.step(student.parameters, await pullback(cotangents), at)
    for (const moved in updates)
      (student.parameters[moved]!.data as Float32Array).set(updates[moved]!.data as Float32Array)
  }
  const predicted = await student.predict(student.parameters)({ [name]: input })
  logits = predicted.logits!.data as Float32Array
  const saved = student.save(student.parameters)
  await student.dispose()
  const options = { optimize: true, fp16: true, rng: rng(1), threads: 1 }
  files.push({ name: 'saved', bytes: encode(saved) })
  files.push({ name: 'exported', bytes: encode((await exportModel(saved, options)).model) })
  expect(decode(start).graph.nodes.length).toBe(saved.graph.nodes.length)
})

it('in onnxruntime-node it is the student that was trained', async () => {
  for (const { name, bytes } of files)
    expect(far(await inNode(bytes), logits), name).toBeLessThan(name === 'saved' ? 1e-6 : 4e-3)
})

const python = process.env.IMAGO_PYTHON ?? 'python3'
const found = spawnSync(python, ['-c', 'import numpy, onnxruntime'], { encoding: 'utf8' })
if (found.status !== 0) console.log(`skipped: serving in Python: ${python} has no numpy and onnxruntime`)

it.skipIf(found.status !== 0)("in Python's onnxruntime it gives the same bits", async () => {
  for (const { name, bytes } of files) {
    const [model, source, target] = [`${name}.onnx`, 'input', `${name}.out`].map((file) => join(work, file))
    writeFileSync(model!, bytes)
    writeFileSync(source!, Buffer.from(input.data.buffer))
    const script = fileURLToPath(new URL('outputs.py', import.meta.url))
    const ran = spawnSync(python, [script, model!, source!, dims.join(), target!], { encoding: 'utf8' })
    expect(ran.status, ran.stderr).toBe(0)
    const outputs = readFileSync(target!)
    const got = new Float32Array(outputs.buffer.slice(outputs.byteOffset, outputs.byteOffset + outputs.byteLength))
    const wanted = await inNode(bytes)
    // Another version may have other kernels.
    if (ran.stdout.trim() === node.env.versions.common) expect(got, name).toEqual(wanted)
    else expect(far(got, wanted), name).toBeLessThan(1e-5)
  }
})

const web = await import('onnxruntime-web' as string).catch(() => undefined)
if (web === undefined) console.log('skipped: serving in the browser: onnxruntime-web is not installed')

it.skipIf(web === undefined)('in onnxruntime-web it gives the same numbers', async () => {
  web.env.wasm.numThreads = 1
  for (const { name, bytes } of files)
    expect(far(await outputsOf(web, bytes, ['wasm']), await inNode(bytes)), name).toBeLessThan(1e-5)
})

function inNode(bytes: Uint8Array): Promise<Float32Array> {
  return outputsOf(node, bytes, ['cpu'])
}

async function outputsOf(
  { InferenceSession, Tensor }: typeof node,
  bytes: Uint8Array,
  executionProviders: string[],
): Promise<Float32Array> {
  const session = await InferenceSession.create(bytes, { executionProviders, intraOpNumThreads: 1 })
  const results = await session.run({ [session.inputNames[0]!]: new Tensor('float32', input.data as never, dims) })
  const outputs = (results[session.outputNames[0]!] as node.Tensor).data as Float32Array
  await session.release()
  return outputs
}

/** The largest difference, over the largest number. */
function far(got: Float32Array, wanted: Float32Array): number {
  expect(got.length).toBe(wanted.length)
  const largest = wanted.reduce((most, z) => Math.max(most, Math.abs(z)), 0)
  return got.reduce((worst, z, i) => Math.max(worst, Math.abs(z - wanted[i]!)), 0) / largest
}
