import { type ConstantTensor, constantOf, type Model } from '@imago/onnx'
import { clone, dims, NotFoundError, NumericError, type Tensor, type TensorMap } from '@imago/tensor'

/**
 * The model with other values in the weights of these names, and nothing else changed: its nodes, softmax and metadata stay.
 *
 * @throws NotFoundError for a name that the model has no weight of, ShapeError, NumericError for values that are not finite
 */
export function withWeights(model: Model, weights: TensorMap): Model {
  const { graph } = model
  const initializers = new Map(graph.initializers)
  for (const name in weights) {
    const old = initializers.get(name)
    if (old === undefined)
      throw new NotFoundError(`the model has no weight "${name}"`, 'Give the parameters that openStudent made from it')
    initializers.set(name, replaced(old, weights[name]!))
  }
  return { ...model, graph: { ...graph, initializers } }
}

function replaced(old: ConstantTensor, value: Tensor): ConstantTensor {
  dims('save', { [old.name]: [value, old.dims.join(' '), old.type] })
  const data = value.data as Float32Array
  for (let i = 0; i < data.length; i++)
    if (!Number.isFinite(data[i]!)) throw new NumericError('save', `${data[i]} in "${old.name}" at element ${i}`)
  const { raw, values, external, ...kept } = old
  return { ...kept, ...constantOf(old.name, clone(value)) }
}
