import { vjp } from '@imago/autodiff'
import { constantOf, decode, foldConstants, normaliseOpset, topologicalSort } from '@imago/onnx'
import { UnsupportedError } from '@imago/tensor'
import { modelOf, run } from './session.mjs'

const TOLERANCE = 1e-3

/**
 * One case against its reference: pass, refused (a typed error that says which node and why, or a model that this ONNX Runtime
 * does not load either) or wrong (anything else). `base` is the record that the references were made for.
 */
export async function checkGradient(record, base, data) {
  const first = await attempt(record, base, data, false)
  if (first.answer !== 'refused') return first
  // Axes, shapes and such are inputs in these cases, constants in models that people export: the same rules, once more with them known.
  const second = await attempt(record, base, data, true)
  return second.answer === 'refused' ? first : { ...second, bound: true }
}

async function attempt(record, base, data, bind) {
  let program
  const feeds = new Map()
  try {
    for (const [name, value] of data.inputs()) feeds.set(name, value)
    program = differentiated(record, base, data, bind ? feeds : undefined)
  } catch (error) {
    if (error instanceof UnsupportedError) return { answer: 'refused', by: 'imago', why: error.message }
    return { answer: 'wrong', why: `${error.name}: ${error.message}` }
  }
  try {
    const forward = await run(modelOf(program.forward, program.opsets), feeds)
    for (const [name, value] of drawn(program.forward, feeds, data)) forward.set(name, value)
    const seeds = program.outs.map(([i, name]) => [
      program.cotangents[name],
      like(data.cotangent(i), forward.get(name)),
    ])
    const made = await run(modelOf(program.backward, program.opsets), new Map([...feeds, ...forward, ...seeds]))
    for (const i of base.grad.wrt) {
      const name = record.inputs[i].name
      const why = difference(made.get(program.gradients[name]), data.gradient(i), data.mask(i))
      if (why !== undefined) return { answer: 'wrong', why: `gradient of "${name}": ${why}` }
    }
    return { answer: 'pass' }
  } catch (error) {
    const why = String(error.message ?? error)
    // A model that this ONNX Runtime does not run as it came is no fault of its gradient.
    if (record.ort.status !== 'pass' && (await run(data.model(), feeds).catch(() => undefined)) === undefined)
      return { answer: 'refused', by: 'runtime', why: `ONNX Runtime does not run the model: ${short(why)}` }
    return { answer: 'wrong', why }
  }
}

function short(why) {
  const opset = /Opset (\d+) is under development/.exec(why)
  if (opset !== null) return `opset ${opset[1]} is not released`
  return why
    .replace(/^Non-zero status code returned while running (\w+) node.*?Status Message: \S+ \S+ .*?\) /s, '$1: ')
    .split('\n')[0]
}

/** What a Dropout of the reference drew, told from its output: another run draws another mask. */
function drawn(graph, feeds, data) {
  const made = new Map()
  for (const { op, inputs, outputs } of graph.nodes) {
    if (op !== 'Dropout' || outputs[1] === undefined) continue
    const [x, y] = [feeds.get(inputs[0]), data.outputs().get(outputs[0])]
    const kept = Uint8Array.from(y.data, (value, i) => Number(value !== 0 || x.data[i] === 0))
    made.set(outputs[0], y).set(outputs[1], { type: 'bool', dims: y.dims, data: kept })
  }
  return made
}

function differentiated(record, base, data, known) {
  const wrt = base.grad.wrt.map((i) => record.inputs[i].name)
  const outs = base.grad.outs.map((i) => [i, record.outputs[i].name])
  const model = decode(data.model(), { name: record.name })
  const sorted = topologicalSort(model.graph)
  const bound = known === undefined ? sorted : bind(sorted, known, new Set(wrt))
  const { graph, opsets } = normaliseOpset({ ...model, graph: bound })
  const folded = foldConstants(graph, { keep: wrt })
  return { ...vjp(folded, { wrt, seeds: outs.map(([, name]) => name) }), opsets, outs }
}

/** Inputs that are no numbers with gradients become constants. */
function bind(graph, known, wrt) {
  const fixed = graph.inputs.filter((input) => !wrt.has(input.name) && !/^(float|bfloat)/.test(input.type ?? ''))
  const initializers = new Map(graph.initializers)
  for (const { name } of fixed) initializers.set(name, constantOf(name, known.get(name)))
  return { ...graph, inputs: graph.inputs.filter((input) => !fixed.includes(input)), initializers }
}

/** The seed in the type of its output. Elements that are infinite do not move: the references leave them out. */
function like(seed, output) {
  const View = output.data.constructor
  const data = View.from(seed.data, (value, i) => (Number.isFinite(output.data[i]) ? value : 0))
  return { type: output.type, dims: seed.dims, data }
}

function difference(got, reference, mask) {
  if (got === undefined) return 'there is none'
  if (got.dims.join() !== reference.dims.join()) return `[${got.dims}] in place of [${reference.dims}]`
  for (let i = 0; i < mask.data.length; i++) {
    const gap = Math.abs(got.data[i] - reference.data[i]) / Math.max(1, Math.abs(reference.data[i]))
    if (mask.data[i] === 1 && !(gap <= TOLERANCE))
      return `element ${i} is ${got.data[i]}, the reference ${reference.data[i]}`
  }
  return undefined
}
