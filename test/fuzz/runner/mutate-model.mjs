const numbers = [-(2n ** 63n), 2n ** 63n - 1n, -1n, 0n, 1n, 2n, 7n, -2n, 2n ** 31n, 2n ** 32n + 1n, 2n ** 53n, 65_537n]
const names = ['', '__proto__', 'constructor', 'toString', '\u0000', '../../x', 'x'.repeat(5000), 'hasOwnProperty']
const sizes = [0, 1, 2, 3, 7, 4096, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER, 'N', '2*N', '?', '-1', 'a b']

/** One to three lies in a model that still decodes: who reads what, sizes, attributes, ops, small tensors, opsets, names. */
export function mutateModel(model, other, random) {
  let made = model
  for (let left = 1 + random.integer(3); left > 0; left--) made = lies[random.integer(lies.length)](made, other, random)
  return made
}

const lies = [
  (model, _other, random) =>
    onNode(model, random, (node) => ({ ...node, inputs: swapped(node.inputs, someValue(model, random), random) })),
  (model, _other, random) =>
    onNode(model, random, (node) => ({ ...node, outputs: swapped(node.outputs, someValue(model, random), random) })),
  (model, other, random) =>
    onNode(model, random, (node) => ({ ...node, op: one(other.graph.nodes, random)?.op ?? node.op })),
  (model, _other, random) => onNode(model, random, (node) => ({ ...node, op: one(names, random) })),
  (model, _other, random) =>
    onNode(model, random, (node) => ({
      ...node,
      inputs: node.inputs.slice(0, random.integer(node.inputs.length + 1)),
    })),
  (model, _other, random) =>
    onNode(model, random, (node) => ({ ...node, attributes: changed(node.attributes, random) })),
  (model, _other, random) =>
    onNode(model, random, (node) => ({ ...node, attributes: changed(node.attributes, random) })),
  (model, other, random) =>
    onNode(model, random, (node) => ({
      ...node,
      attributes: one(other.graph.nodes, random)?.attributes ?? node.attributes,
    })),
  (model, _other, random) =>
    onInitializer(model, random, (constant) => ({ ...constant, dims: constant.dims.map(() => random.integer(4)) })),
  (model, _other, random) => onInitializer(model, random, (constant) => filled(constant, random)),
  (model, _other, random) => onInitializer(model, random, (constant) => filled(constant, random)),
  (model, _other, random) => {
    const inputs = model.graph.inputs.map((input) => ({
      ...input,
      ...(input.shape && { shape: input.shape.map(() => one(sizes, random)) }),
    }))
    return { ...model, graph: { ...model.graph, inputs } }
  },
  (model, _other, random) => ({
    ...model,
    opsets: new Map([...model.opsets].map(([domain]) => [domain, 1 + random.integer(30)])),
  }),
  (model, _other, random) => {
    // A node twice, or all of them backwards.
    const { nodes } = model.graph
    const some =
      random.integer(2) === 0 ? [...nodes].reverse() : [...nodes, ...(nodes.length ? [one(nodes, random)] : [])]
    return { ...model, graph: { ...model.graph, nodes: some } }
  },
  (model, _other, random) => {
    const [from, to] = [someValue(model, random), one(names, random)]
    const renamed = (list) => list.map((name) => (name === from ? to : name))
    const nodes = model.graph.nodes.map((node) => ({
      ...node,
      inputs: renamed(node.inputs),
      outputs: renamed(node.outputs),
    }))
    return { ...model, graph: { ...model.graph, nodes } }
  },
]

function one(list, random) {
  return list[random.integer(Math.max(1, list.length))]
}

function onNode(model, random, change) {
  const { nodes } = model.graph
  if (nodes.length === 0) return model
  const i = random.integer(nodes.length)
  return { ...model, graph: { ...model.graph, nodes: nodes.with(i, change(nodes[i])) } }
}

function onInitializer(model, random, change) {
  const { initializers } = model.graph
  if (initializers.size === 0) return model
  const name = one([...initializers.keys()], random)
  return {
    ...model,
    graph: { ...model.graph, initializers: new Map([...initializers, [name, change(initializers.get(name))]]) },
  }
}

function someValue({ graph }, random) {
  const values = [
    ...graph.inputs.map((input) => input.name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap((node) => node.outputs),
  ]
  return one(values, random) ?? ''
}

function swapped(list, value, random) {
  return list.length === 0 ? [value] : list.with(random.integer(list.length), value)
}

function changed(attributes, random) {
  if (attributes.size === 0) return new Map([['axis', { kind: 'int', value: one(numbers, random) }]])
  const [name, attribute] = one([...attributes], random)
  return new Map([...attributes, [name, lie(attribute, random)]])
}

function lie(attribute, random) {
  switch (attribute.kind) {
    case 'int':
      return { kind: 'int', value: one(numbers, random) }
    case 'ints':
      return { kind: 'ints', value: Array.from({ length: random.integer(6) }, () => one(numbers, random)) }
    case 'float':
      return { kind: 'float', value: one([Number.NaN, Number.POSITIVE_INFINITY, -1, 0, 1e30], random) }
    case 'string':
      return { kind: 'string', value: one(names, random) }
    case 'tensor':
      return { kind: 'tensor', value: filled(attribute.value, random) }
    default:
      return { kind: 'int', value: 1n }
  }
}

/** Another content for small whole numbers (shapes, axes, indices); floats stay. */
function filled(constant, random) {
  if (constant.type !== 'int64' || constant.external) return constant
  const count = constant.dims.reduce((a, b) => a * b, 1)
  if (!(count <= 64)) return constant
  const { raw, values, ...rest } = constant
  return { ...rest, values: Array.from({ length: count }, () => one(numbers, random)) }
}
