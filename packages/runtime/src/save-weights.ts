import { type ConstantTensor, constantOf, type Model, type Node } from '@imago/onnx'
import { clone, dims, NotFoundError, NumericError, type Tensor, type TensorMap } from '@imago/tensor'

/**
 * The model with other values in the weights of these names, and nothing else changed: its nodes, softmax and metadata stay.
 *
 * @throws NotFoundError for a name that the model has no weight of, ShapeError, NumericError for values that are not finite
 */
export function withWeights(model: Model, weights: TensorMap): Model {
  const { graph } = model
  const initializers = new Map(graph.initializers)
  const rest = new Set(Object.keys(weights))
  for (const name of [...rest]) {
    const old = initializers.get(name)
    if (old === undefined) continue
    initializers.set(name, replaced(old, weights[name]!))
    rest.delete(name)
  }
  const nodes = graph.nodes.map((node): Node => {
    const name = node.op === 'Constant' ? node.outputs[0]! : ''
    const value = node.attributes.get('value')
    if (!rest.has(name) || value?.kind !== 'tensor') return node
    rest.delete(name)
    const attribute = { ...value, value: { ...replaced(value.value, weights[name]!), name: value.value.name } }
    return { ...node, attributes: new Map([...node.attributes, ['value', attribute]]) }
  })
  const [missing] = rest
  if (missing !== undefined)
    throw new NotFoundError(`the model has no weight "${missing}"`, 'Give the parameters that openStudent made from it')
  return { ...model, graph: { ...graph, nodes, initializers } }
}

function replaced(old: ConstantTensor, value: Tensor): ConstantTensor {
  dims('save', { [old.name]: [value, old.dims.join(' '), old.type] })
  const data = value.data as Float32Array
  for (let i = 0; i < data.length; i++)
    if (!Number.isFinite(data[i]!)) throw new NumericError('save', `${data[i]} in "${old.name}" at element ${i}`)
  const { raw, values, external, ...kept } = old
  return { ...kept, ...constantOf(old.name, clone(value)) }
}
