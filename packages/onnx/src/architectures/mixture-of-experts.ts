import { ArgumentError, type Rng, zeros } from '@imago/tensor'
import { builder } from '../builder.js'
import type { Model } from '../ir.js'
import { initialWeights } from './initial-weights.js'
import { type Layers, linear, modelOf } from './layers.js'

export interface MixtureOptions {
  readonly inputs: number
  readonly experts: number
  /** Hidden units of each expert. */
  readonly hidden: number
  readonly classes: number
  /** Where the initial weights come from; the same state gives the same model. */
  readonly rng: Rng
}

/**
 * A mixture of experts with a learned gate (Jacobs, Jordan, Nowlan & Hinton 1991, eq. 1.3; Hinton, Vinyals & Dean 2015, §7): `input` [N, inputs] →
 * `logits` [N, classes], p = Σ_e g_e·p_e with g = softmax(gate·x) and p_e the softmax of expert e, a net of one hidden layer. All experts see
 * all rows and are trained together. The output is log p, computed in log-space; its exponentials sum to 1. Parameters: `gate.weight`
 * [experts, inputs], `gate.bias`, `hidden.weight` [experts·hidden, inputs], `hidden.bias`, `experts.weight` [experts, hidden, classes],
 * `experts.bias` [experts, 1, classes].
 *
 * @throws ArgumentError
 */
export function mixtureOfExperts(options: MixtureOptions): Model {
  const { inputs, experts, hidden, classes, rng } = options
  for (const [name, value] of Object.entries({ inputs, experts, hidden, classes }))
    if (!(Number.isSafeInteger(value) && value > 0))
      throw new ArgumentError('mixtureOfExperts', name, 'a whole number > 0', value)
  if (typeof rng?.split !== 'function')
    throw new ArgumentError('mixtureOfExperts', 'rng', 'a generator: rng(seed) of @imago/tensor', rng)
  const b = builder()
  const layers: Layers = { b, rng, initial: 'he' }
  const named = (name: string): { name: string; outputs: string[] } => ({ name, outputs: [b.unique(`${name}.output`)] })
  const x = b.input('input', 'float32', ['N', inputs])
  const gate = linear({ ...layers, initial: { normal: Math.sqrt(1 / inputs) } }, x, 'gate', inputs, experts)
  const share = b.op('LogSoftmax', [gate], { axis: 1 }, named('share'))
  // [N, E] → [E, N, 1]
  const shares = b.op('Unsqueeze', [b.op('Transpose', [share], { perm: [1, 0] }), b.ints([2])])

  const units = b.op('Relu', [linear(layers, x, 'hidden', inputs, experts * hidden)], {}, named('act'))
  // [N, E·H] → [E, N, H]
  const apart = b.op('Transpose', [b.op('Reshape', [units, b.ints([0, experts, hidden])])], { perm: [1, 0, 2] })
  const values = initialWeights([experts, hidden, classes], hidden, classes, 'he', rng.split('experts.weight'))
  const weight = b.initializer('experts.weight', values)
  const bias = b.initializer('experts.bias', zeros('float32', [experts, 1, classes]))
  const scores = b.op('Add', [b.op('MatMul', [apart, weight], {}, named('experts')), bias])
  const answers = b.op('LogSoftmax', [scores], { axis: 2 }, named('answers'))
  // log Σ_e exp(log g_e + log p_e)
  b.op(
    'ReduceLogSumExp',
    [b.op('Add', [answers, shares])],
    { axes: [0], keepdims: 0 },
    {
      name: 'mixture',
      outputs: ['logits'],
    },
  )
  b.output('logits', 'float32', ['N', classes])
  return modelOf(b.graph(), 'mixture-of-experts')
}
