import { toBfloat16, toFloat16 } from '@imago/kernels'
import { type ConstantTensor, constantOf, type Model } from '@imago/onnx'
import { clone, dims, NotFoundError, NumericError, type Tensor, type TensorMap } from '@imago/tensor'

/**
 * The model with other values in the weights of these names, and nothing else changed: its nodes, softmax and metadata stay.
 *
 * @throws NotFoundError for a name that the model has no weight of, ShapeError, NumericError for values that are not finite, or that half precision cannot hold
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
  const half = halves[old.type]
  dims('save', { [old.name]: [value, old.dims.join(' '), half ? 'float32' : old.type] })
  const data = value.data as Float32Array
  const limit = half?.largest ?? Number.MAX_VALUE
  for (let i = 0; i < data.length; i++)
    if (!(Math.abs(data[i]!) <= limit))
      throw new NumericError(
        'save',
        `${data[i]} in "${old.name}" at element ${i}${half ? `, which ${old.type} cannot hold` : ''}`,
      )
  const { raw, values, external, ...kept } = old
  return { ...kept, ...constantOf(old.name, half ? half.round({ x: value as Tensor<'float32'> }) : clone(value)) }
}

/** Half precision is trained in float32 (`widenHalf`) and rounded here. */
const halves: {
  readonly [type: string]: { readonly largest: number; readonly round: (options: { x: Tensor<'float32'> }) => Tensor }
} = {
  float16: { largest: 65504, round: (options) => toFloat16(options) },
  bfloat16: { largest: 3.3895313892515355e38, round: (options) => toBfloat16(options) },
}
