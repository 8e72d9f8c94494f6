import { constantOf, type Model } from '@imago/onnx'
import { ArgumentError, StateError } from '@imago/tensor'
import { placesOf } from '../sets/class-set.js'
import { lastLinear } from './last-linear.js'
import { floats, inType } from './replace-head.js'
import { specialistFile, withSpecialistFile } from './specialist-file.js'

export interface DustbinShares {
  /** r in (0, 1): the share of rows of the special classes where the specialist will be asked. */
  readonly trueShare: number
  /** Their share in the rows that it was trained on; 1/2 unless given. */
  readonly trainingShare?: number | undefined
}

/**
 * What to add to a dustbin's logit after training, in nats: ln of the true odds of dustbin to special over those in training,
 * ln [(1 − r)/r] − ln [(1 − t)/t]. With half/half rows that is ln((1 − r)/r), the "log of the proportion by which the special class is oversampled"
 * (Hinton, Vinyals & Dean 2015, §5.2), said as odds: by Bayes' rule the posterior that was learnt at prior t becomes the one at prior r.
 *
 * @throws ArgumentError for shares outside (0, 1)
 */
export function dustbinOffset({ trueShare, trainingShare = 0.5 }: DustbinShares): number {
  for (const [name, share] of Object.entries({ trueShare, trainingShare }))
    if (!(typeof share === 'number' && share > 0 && share < 1))
      throw new ArgumentError('dustbinOffset', name, 'a share in (0, 1)', share)
  return Math.log((1 - trueShare) / trueShare) - Math.log((1 - trainingShare) / trainingShare)
}

/**
 * A trained specialist with the offset added to its dustbin's bias (to those of all classes outside the set, where its head has all), once: its file
 * says that it was done.
 *
 * @param where the file's name, for messages
 * @throws StateError where it was corrected before or its last layer has no bias, ArgumentError for an offset that is not finite
 */
export function correctDustbin(specialist: Model, offset: number, where = 'the specialist'): Model {
  if (!Number.isFinite(offset)) throw new ArgumentError('correctDustbin', 'offset', 'a finite number', offset)
  const file = specialistFile(specialist, where)
  if (file.offset !== undefined)
    throw new StateError(`${where} was corrected before, by ${file.offset}`, 'Take the file as training left it')
  const { bias, biasScale, output } = lastLinear(specialist)
  const places = file.head === 'full' ? placesOf(file.set, file.classes) : undefined
  const outputs = places?.length ?? file.set.classes.length + 1
  const size = file.set.classes.length
  if (bias === undefined || bias.dims.reduce((a, b) => a * b, 1) !== outputs)
    throw new StateError(
      `the last layer of ${where} (output "${output}") has no bias of ${outputs} numbers, as specialistModel makes it`,
      'Take a file as it was trained',
    )
  const values = floats(bias).map((b, o) => ((places?.[o] ?? o) === size ? b + offset / biasScale : b))
  const initializers = new Map(specialist.graph.initializers)
  initializers.set(bias.name, constantOf(bias.name, inType(bias.type, bias.dims, values)))
  return withSpecialistFile({ ...specialist, graph: { ...specialist.graph, initializers } }, { ...file, offset })
}
