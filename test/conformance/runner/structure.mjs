import {
  decode,
  foldConstants,
  fuse,
  normaliseOpset,
  removeDeadCode,
  topologicalSort,
  validateGraph,
} from '@imago/onnx'
import { UnsupportedError } from '@imago/tensor'
import { closed } from './closed.mjs'
import { run } from './session.mjs'

/** A model after every pass that leaves its results alone: sorting, inlining, opset 17, folding, dead code. */
export function restructured(model) {
  const normal = normaliseOpset({ ...model, graph: topologicalSort(model.graph) })
  const graph = removeDeadCode(foldConstants(normal.graph))
  validateGraph(graph)
  return { ...normal, graph }
}

/** Outputs in ONNX Runtime before and after our passes, byte for byte, and after fusion, within a tolerance: same, different, refused (typed), or not run here. */
export async function compareStructure(record, data) {
  const isPlain = [...record.inputs, ...record.outputs].every((info) => info.kind === 'tensor')
  let after
  let original = data.model()
  try {
    const model = decode(data.model(), { name: record.name })
    after = restructured(model)
    // onnxruntime-node takes and gives no sequences: they are made inside the model, and taken apart there.
    if (!isPlain) {
      original = closed(model, record, data)
      after = closed(after, record, data)
    }
  } catch (error) {
    return { answer: error instanceof UnsupportedError ? 'refused' : 'different', why: String(error) }
  }
  try {
    const feeds = data.inputs()
    const [before, made] = [await run(original, feeds), await run(after, feeds)]
    for (const [name, value] of before) {
      const why = difference(value, made.get(name))
      if (why !== undefined) return { answer: 'different', why: `output "${name}": ${why}` }
    }
    const fused = fuse(after.graph)
    if (fused === after.graph) return { answer: 'same' }
    const whole = { ...after, graph: fused, opsets: new Map([...after.opsets, ['com.microsoft', 1]]) }
    const why = farthest(before, await run(whole, feeds))
    return why === undefined ? { answer: 'same', fused: true } : { answer: 'different', why: `after fusion ${why}` }
  } catch (error) {
    return { answer: 'different', why: String(error) }
  }
}

/** Fusion computes in another order: within the tolerance that the backend tests have, and more. */
function farthest(before, after) {
  for (const [name, { data }] of before) {
    const found = after.get(name)?.data ?? []
    const at = [...data].findIndex(
      (value, i) => !Object.is(value, found[i]) && !(Math.abs(value - found[i]) <= 1e-6 + 1e-4 * Math.abs(value)),
    )
    if (at >= 0 || found.length !== data.length)
      return `output "${name}": element ${at} is ${found[at]} in place of ${data[at]}`
  }
  return undefined
}

function difference(p, q) {
  if (q === undefined) return 'it is gone'
  if (p.type !== q.type) return `${q.type} in place of ${p.type}`
  if (p.dims.join() !== q.dims.join()) return `[${q.dims}] in place of [${p.dims}]`
  if (Array.isArray(p.data)) return p.data.every((item, i) => item === q.data[i]) ? undefined : 'other strings'
  const bytes = ({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const [a, b] = [bytes(p), bytes(q)]
  const at = a.findIndex((byte, i) => byte !== b[i])
  if (at < 0 && a.length === b.length) return undefined
  const i = Math.floor(at / p.data.BYTES_PER_ELEMENT)
  return `element ${i} is ${q.data[i]} in place of ${p.data[i]}`
}
