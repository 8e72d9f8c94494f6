// Reads one hostile file as a user would and says how it was refused and how much more memory that took: limits.mjs FILE
import { readFileSync, writeFileSync } from 'node:fs'
import { mlp, readModel, topologicalSort, validateGraph, writeModel } from '@imago/onnx'
import { inspectStudent } from '@imago/runtime'
import { rng } from '@imago/tensor'

const read = async (path) => {
  const model = await readModel(path)
  validateGraph(model.graph)
  topologicalSort(model.graph)
  inspectStudent(model)
}
const [, , path] = process.argv
// What a first, harmless model loads and compiles is not the hostile one's.
await writeModel(`${path}.warm`, mlp([8, 8, 2], { rng: rng(1) }))
await read(`${path}.warm`)
globalThis.gc?.()
writeFileSync('/proc/self/clear_refs', '5')
const before = process.memoryUsage.rss()
const start = performance.now()
const code = await read(path).then(
  () => 'read',
  (error) => error.code ?? error.constructor.name,
)
const milliseconds = performance.now() - start
const peak = 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
console.log(JSON.stringify({ code, milliseconds, bytes: peak - before }))
