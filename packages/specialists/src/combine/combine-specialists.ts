import { gatherRows, MemberError, type RowMemory, rowCount } from '@imago/ensembles'
import { softmax } from '@imago/kernels'
import {
  ArgumentError,
  dims,
  NotFoundError,
  type Predict,
  type Tensor,
  type TensorMap,
  tensor,
  tensorMap,
} from '@imago/tensor'
import { activeRows } from './active-experts.js'
import { type Answers, combineAnswers } from './combine-answers.js'
import { checkExperts, type Expert, expertAnswers } from './expert.js'

export interface CombineSpecialistsOptions {
  /** Inputs → `logits` `[N, C]`. */
  readonly generalist: Predict
  readonly experts: readonly Expert[]
  /** An expert is asked about a row where its set has one of the generalist's n most probable classes; 1 unless given, as in the paper. */
  readonly topN?: number | undefined
  /** Evaluations that a row's equation may take; 100 unless given. */
  readonly mostSteps?: number | undefined
  /** The output of every model that holds its logits; `logits` unless given. */
  readonly output?: string | undefined
}

/**
 * A generalist and its specialists as one predictor (Hinton, Vinyals & Dean 2015, §5.3): the generalist answers for all rows; each specialist is run
 * once, on the rows where it is active, gathered (conditional computation: Goodfellow, Bengio & Courville 2016, §12.1.5); eq. 5 makes one
 * distribution q of their answers. Where no specialist is active q is the generalist's. The more rows a call has, the fuller the
 * specialists' batches. The inputs that a specialist gets are its until it has answered.
 *
 * Inputs `[N, …]` → `logits` float32 `[N, C]`, ln q, so that softmax(logits) = q (masses below float32's normal numbers count as the least one);
 * `active` int32 `[N]`, how many specialists had a say; `unsolved` bool `[N]`, 1 where eq. 5 ran into `mostSteps`. As a teacher at T the student sees q^(1/T),
 * normalised.
 *
 * @throws ArgumentError for sets that are none or more than 32 specialists active in a row; the predictor: MemberError with the specialist that
 *   failed (`index` is that in `experts`, −1 the generalist), ShapeError for a specialist whose outputs do not fit its set, the signal's reason
 */
export function combineSpecialists(options: CombineSpecialistsOptions): Predict {
  const caller = 'combineSpecialists'
  const { generalist, experts, topN = 1, mostSteps, output = 'logits' } = options
  if (!(Number.isSafeInteger(topN) && topN >= 1)) throw new ArgumentError(caller, 'topN', 'a whole number ≥ 1', topN)
  if (!Array.isArray(experts)) throw new ArgumentError(caller, 'experts', 'a list of experts { set, predict }', experts)
  const sets = experts.map(({ set }) => set)

  const ask = async (
    m: number,
    inputs: TensorMap,
    rows: number,
    signal: AbortSignal | undefined,
  ): Promise<Tensor<'float32'>> => {
    const [name, predict] = m < 0 ? ['generalist', generalist] : [sets[m]!.name, experts[m]!.predict]
    const label = m < 0 ? 'the generalist' : `experts[${m}] "${name}"`
    let given: TensorMap
    try {
      given = await predict(inputs, signal)
    } catch (cause) {
      signal?.throwIfAborted()
      throw new MemberError(caller, label, m, name, cause)
    }
    const logits = given[output]
    if (logits === undefined)
      throw new NotFoundError(
        `${caller}: ${label} has no output "${output}"`,
        `It has ${Object.keys(given).join(', ')}`,
      )
    dims(caller, { [label]: [logits, `${rows} _`, 'float32'] })
    return logits as Tensor<'float32'>
  }

  // For one set's rows at a time, which so stay in the caches, and from call to call; a call while another goes on has its own.
  let spare: RowMemory | undefined

  return async (inputs, signal) => {
    const N = rowCount(caller, inputs)
    signal?.throwIfAborted()
    const said = await ask(-1, inputs, N, signal)
    const C = said.dims[1]!
    checkExperts(caller, experts, C)
    const active = activeRows(said, sets, topN)
    const answers: Answers[] = []
    const memory = spare ?? new Map()
    spare = undefined
    for (const [m, rows] of active.entries()) {
      if (rows.length === 0) continue
      signal?.throwIfAborted()
      const logits = await ask(m, rows.length === N ? inputs : gatherRows(inputs, rows, memory), rows.length, signal)
      answers.push({ set: sets[m]!, rows, probabilities: expertAnswers(caller, experts[m]!, logits, C) })
    }
    spare = memory
    const general = softmax({ logits: said })
    const { q, residual } = combineAnswers({ general, answers, mostSteps, out: general })
    const counts = new Int32Array(N)
    for (const rows of active) for (const r of rows) counts[r]!++
    return tensorMap([
      ['logits', tensor('float32', [N, C], logOf(q.data))],
      ['active', tensor('int32', [N], counts)],
      [
        'unsolved',
        tensor(
          'bool',
          [N],
          Uint8Array.from(residual.data, (r) => (r > 1e-6 ? 1 : 0)),
        ),
      ],
    ])
  }
}

/** ln q in place; a mass that float32 rounds to 0, or nearly, counts as its least normal number: a logit of −∞ would be passed on to students. */
function logOf(q: Float32Array): Float32Array {
  for (let i = 0; i < q.length; i++) q[i] = Math.log(Math.max(q[i]!, 2 ** -126))
  return q
}
