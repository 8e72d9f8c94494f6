import { type Model, removeDeadCode } from '@imago/onnx'
import { dims, type Tensor } from '@imago/tensor'
import { type ClassSet, checkClassSet, placesOf } from '../sets/class-set.js'
import { fitDustbin } from './fit-dustbin.js'
import { type LastLinear, lastLinear } from './last-linear.js'
import { floats, replaceHead } from './replace-head.js'
import { withSpecialistFile } from './specialist-file.js'

export interface SpecialistModelOptions {
  readonly set: ClassSet
  /** The generalist's logits `[N, C]` on a sample of rows, float32: what the dustbin's mass is fitted to. */
  readonly logits: Tensor
  /** The output that classifies, where the generalist has several. */
  readonly output?: string | undefined
}

export interface SpecialistModel {
  /** Its output is logits `[N, |S| + 1]`: the set's classes in their order, then the dustbin. */
  readonly model: Model
  /** The fitted constant in the dustbin's bias, in nats. */
  readonly constant: number
}

/**
 * A specialist that begins as its generalist (Hinton, Vinyals & Dean 2015, §5.2): all weights but those of the last layer are the generalist's; of
 * that layer the rows of the special classes stay, and one row, the mean of all others, becomes the dustbin's. Its bias is the mean of their biases + ln
 * of their number + a constant (`fitDustbin`), so that over the sample the dustbin has the mass that the generalist gives those classes.
 *
 * @throws UnsupportedError where the generalist does not end in a linear layer (`lastLinear` says what is supported), ArgumentError for a
 *   set that is none, ShapeError for logits of other classes
 */
export function specialistModel(generalist: Model, options: SpecialistModelOptions): SpecialistModel {
  const caller = 'specialistModel'
  const { set, logits, output } = options
  const layer = lastLinear(generalist, output)
  checkClassSet(caller, set, layer.classes)
  dims(caller, { logits: [logits, `N ${layer.classes}`, 'float32'] })
  const constant = fitDustbin({ logits, set })
  const model = withDustbinHead(layer, set, constant)
  return { model: withSpecialistFile(model, { set, classes: layer.classes, head: 'dustbin' }), constant }
}

/**
 * The specialist of section 6.1: the generalist as it is, all its classes, marked as the specialist of this set. A head without a bias gets one of zeros.
 *
 * @throws UnsupportedError, ArgumentError as `specialistModel` does
 */
export function fullSpecialistModel(
  generalist: Model,
  options: { readonly set: ClassSet; readonly output?: string | undefined },
): Model {
  const { set, output } = options
  const layer = lastLinear(generalist, output)
  const { model, classes, weight } = layer
  checkClassSet('fullSpecialistModel', set, classes)
  const bias = biasesOf(layer)
  const whole =
    layer.bias?.dims.at(-1) === classes
      ? { ...model, graph: removeDeadCode(model.graph) }
      : replaceHead(layer, { outputs: classes, weight: floats(weight), bias })
  return withSpecialistFile(whole, { set, classes, head: 'full' })
}

function withDustbinHead(layer: LastLinear, set: ClassSet, constant: number): Model {
  const { weight, units, classes } = layer
  const outputs = set.classes.length + 1
  const places = placesOf(set, classes)
  const rest = classes - set.classes.length
  /** What the special classes have, and the mean of what the others have. */
  const pick = (of: (c: number) => number): number[] => {
    let sum = 0
    for (let c = 0; c < classes; c++) if (places[c] === set.classes.length) sum += of(c)
    return [...set.classes.map(of), sum / rest]
  }
  const w = floats(weight)
  const features = w.length / classes
  const chosen = new Float32Array(outputs * features)
  for (let k = 0; k < features; k++) {
    const column = pick((c) => (units === 'rows' ? w[c * features + k]! : w[k * classes + c]!))
    for (const [o, value] of column.entries()) chosen[units === 'rows' ? o * features + k : k * outputs + o] = value
  }
  const b = biasesOf(layer)
  const bias = Float32Array.from(pick((c) => b[c]!))
  bias[set.classes.length]! += Math.log(rest) + constant
  return replaceHead(layer, { outputs, weight: chosen, bias })
}

/** What the layer adds to each logit, `[C]`; zeros without a bias. */
function biasesOf({ bias, biasScale, classes }: LastLinear): Float32Array {
  const b = bias ? floats(bias) : Float32Array.of(0)
  return Float32Array.from({ length: classes }, (_, c) => biasScale * (b.length === 1 ? b[0]! : b[c]!))
}
