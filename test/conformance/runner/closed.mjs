import { builder } from '@imago/onnx'

/**
 * A model whose sequences and optionals stay inside: inputs of these kinds are made of constants (the case's values), outputs are
 * taken apart into tensors, as many as the case expects. The same is done to a model before and after the passes.
 */
export function closed(model, record, data) {
  const inputs = data.inputs()
  const expected = data.outputs()
  const kinds = new Map(record.inputs.map(({ name, kind }) => [name, kind]))
  const plain = model.graph.inputs.filter(({ name }) => kinds.get(name) === 'tensor')
  const b = builder({ ...model.graph, nodes: [], inputs: plain, outputs: [] })
  const values = (name) => inputs.get(name).map((value, i) => b.initializer(`${name}:${i}`, value))
  for (const { name, kind } of record.inputs) {
    if (kind === 'tensor') continue
    const isList = Array.isArray(inputs.get(name))
    if (kind === 'sequence') sequence(b, values(name), name)
    else if (!isList) b.op('Optional', [b.initializer(`${name}:value`, inputs.get(name))], {}, { outputs: [name] })
    else b.op('Optional', [sequence(b, values(name))], {}, { outputs: [name] })
  }
  const nodes = [...b.graph().nodes, ...model.graph.nodes]
  const rest = builder({ ...model.graph, nodes: [], outputs: [] })
  for (const { name, kind } of record.outputs) {
    const value = expected.get(name)
    const inner = kind === 'optional' ? rest.op('OptionalGetElement', [name]) : name
    if (!Array.isArray(value)) rest.output(inner)
    else {
      rest.output(rest.op('SequenceLength', [inner]))
      for (const i of value.keys()) rest.output(rest.op('SequenceAt', [inner, position(rest, i)]))
    }
  }
  const made = rest.graph()
  const initializers = new Map([...b.graph().initializers, ...made.initializers])
  return {
    ...model,
    graph: { ...model.graph, nodes: [...nodes, ...made.nodes], inputs: plain, outputs: made.outputs, initializers },
  }
}

function sequence(b, values, name) {
  const options = name === undefined ? {} : { outputs: [name] }
  return values.length > 0
    ? b.op('SequenceConstruct', values, {}, options)
    : b.op('SequenceEmpty', [], { dtype: 1 }, options)
}

function position(b, i) {
  return b.op('Squeeze', [b.ints([i])])
}
