import { fromFloat16, toFloat16 } from '@imago/kernels'
import { type ConstantTensor, constantOf, encode, halfWeights, inferenceForm, type Model, tensorOf } from '@imago/onnx'
import { ArgumentError, NumericError, type Rng, type Tensor } from '@imago/tensor'
import { optimizeInference } from './adapt/optimize-inference.js'
import { type CheckOptions, compareModels, type Difference } from './compare-models.js'

export interface ExportOptions extends CheckOptions {
  /** Matrices and kernels in half precision, everything else in float32. Default false. */
  readonly fp16?: boolean | undefined
  /** Rewrite the graph for inference: BatchNormalization and constants folded, dropout gone. Default false. */
  readonly optimize?: boolean | undefined
  /** Where the inputs come from on which both models are run. */
  readonly rng: Rng
}

export interface Exported {
  readonly model: Model
  /** What was done, one sentence each. */
  readonly notes: readonly string[]
  /** How far the outputs are from those of the model given, over drawn inputs. */
  readonly difference: Difference
}

/** Of the largest output, what folding may move any of them: float32 rounding through deep nets stays below a tenth of it. */
const allowed = 1e-4

/**
 * A model made ready for serving, and run against the one given before it is handed out: folding may not move an output by more than 10⁻⁴
 * of the largest one; with half weights the file gives the very bits that the rounded weights give in float32. How far the rounding itself moves the outputs
 * is told in `difference`.
 *
 * @param model with its weights inside (`readModel`)
 * @throws ArgumentError without a wish; NumericError for weights that half precision cannot hold and outputs that differ; the errors of `open`
 */
export async function exportModel(model: Model, options: ExportOptions): Promise<Exported> {
  const { fp16 = false, optimize = false } = options
  if (!fp16 && !optimize)
    throw new ArgumentError('exportModel', 'fp16, optimize', 'given, at least one of them', 'neither')
  const optimized = optimize ? await optimizeInference(model, options) : { model, notes: [] }
  if (optimize) {
    const moved = await compareModels(served(model), optimized.model, options)
    if (!(moved.relative <= allowed))
      throw new NumericError(
        'exportModel',
        `folding moves the outputs by ${moved.relative.toExponential(1)} of the largest one, more than ${allowed}: leave --optimize out`,
      )
    if (!fp16) return { ...optimized, difference: moved }
  }
  const halved = halfWeights(optimized.model, { round })
  const rounded = [...halved.graph.initializers.values()].filter(
    ({ name, type }) => type === 'float16' && optimized.model.graph.initializers.get(name)?.type === 'float32',
  )
  if (rounded.length === 0)
    throw new ArgumentError('exportModel', 'fp16', 'for a model with float32 matrices or kernels', 'a model without')
  const exact = await compareModels(served(roundedInPlace(optimized.model, halved)), served(halved), options)
  if (!exact.identical)
    throw new NumericError(
      'exportModel',
      `ONNX Runtime gives other outputs for half weights than for the same weights in float32 (by ${exact.relative.toExponential(1)})`,
    )
  const before = encode(optimized.model).length
  const after = encode(halved).length
  const note = `${rounded.length} weights are float16 in the file and float32 when it is loaded: ${bytes(after)} in place of ${bytes(before)}`
  return {
    model: halved,
    notes: [...optimized.notes, note],
    difference: await compareModels(served(model), served(halved), options),
  }
}

/** Exported for training it draws masks and uses the batch's statistics, so that no two runs could be compared. */
function served(model: Model): Model {
  return { ...model, graph: inferenceForm(model.graph) }
}

function round(constant: ConstantTensor): ConstantTensor {
  const x = tensorOf(constant) as Tensor<'float32'>
  const value = toFloat16({ x })
  const odd = value.data.findIndex((bits) => (bits & 0x7c00) === 0x7c00)
  if (odd >= 0)
    throw new NumericError(
      'exportModel',
      `${x.data[odd]} in "${constant.name}" at element ${odd}, which float16 cannot hold`,
    )
  return constantOf(constant.name, value)
}

/** The float32 model with the weights that the halved one holds. */
function roundedInPlace(model: Model, halved: Model): Model {
  const { graph } = model
  const initializers = new Map(
    Array.from(graph.initializers, ([name, constant]) => {
      const half = halved.graph.initializers.get(name)
      if (constant.type !== 'float32' || half?.type !== 'float16') return [name, constant] as const
      return [name, constantOf(name, fromFloat16({ x: tensorOf(half) as Tensor<'float16'> }))] as const
    }),
  )
  return { ...model, graph: { ...graph, initializers } }
}

function bytes(count: number): string {
  return count < 1e6 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`
}
