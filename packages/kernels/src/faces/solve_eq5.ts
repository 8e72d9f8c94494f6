import { ArgumentError, dims, ShapeError, type Tensor, tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import { checkApart, memory, whole } from '../guard.js'
import { resultIn } from './place.js'

/** One specialist and the rows that it has been asked about. */
export interface ExpertAnswers {
  /** The classes of its set, in the order of its outputs, all different; not all classes. */
  readonly classes: ArrayLike<number>
  /** Rows of `general`, one for each of its own, all different. */
  readonly rows: ArrayLike<number>
  /** Its probabilities `[n, |set| + 1]`, float32: those of its classes, then of its dustbin. */
  readonly probabilities: Tensor
}

export interface SolveEq5Options {
  /** The generalist's probabilities `[N, C]`, float32. */
  readonly general: Tensor
  readonly experts: readonly ExpertAnswers[]
  /** Evaluations that a row may take; 100 unless given. */
  readonly mostSteps?: number | undefined
  /** Where q goes, `[N, C]` float32; may be `general` itself. */
  readonly out?: Tensor | undefined
  readonly backend?: Backend | undefined
}

export interface SolvedEq5 {
  /** `[N, C]`, float32; rows sum to 1. */
  readonly q: Tensor<'float32'>
  /** Evaluations of each row, `[N]`; 0 where no expert is active. */
  readonly steps: Tensor<'int32'>
  /** By how much the multiplier of q differs between the classes of a row, `[N]`; 0 at the minimum. */
  readonly residual: Tensor<'float64'>
  /** Rows whose residual is above 1e-6. */
  readonly unsolved: number
}

/**
 * For each row the distribution q that minimises KL(p^g ‖ q) + Σ_m KL(p^m ‖ q) over the generalist and the specialists that are active there
 * (Hinton, Vinyals & Dean 2015, §5.4, eq. 5). A specialist's dustbin is compared with q's sum over all classes outside its set. Convex, solved to
 * float64's precision by Newton's method in as many unknowns as there are active specialists, at most 32. On the CPU alone.
 *
 * @throws ShapeError, ArgumentError (sets, rows), NumericError naming the row of what is no distribution
 */
export function solveEq5(options: SolveEq5Options): SolvedEq5 {
  const caller = 'solveEq5'
  const { general, experts, out, backend } = options
  const { N, C } = dims(caller, { general: [general, 'N C', 'float32'], out: [out, 'N C', 'float32'] }) as {
    N: number
    C: number
  }
  if (C < 2) throw new ShapeError(caller, 'general', '[N, C] with at least two classes', `[${N}, ${C}]`)
  const mostSteps = whole(caller, 'mostSteps', options.mostSteps ?? 100, 1, 1e6)
  if (!Array.isArray(experts)) throw new ArgumentError(caller, 'experts', 'an array of experts', experts)
  const flat = flatten(caller, experts, N, C)
  const read = memory(caller, 'general', general, 'float32')
  const { result, written } = resultIn(caller, out, general, 'float32', [N, C])
  if (out) checkApart(caller, 'out', written, 'general', read, read)
  const steps = new Int32Array(N)
  const residual = new Float64Array(N)
  run(
    caller,
    'solve_eq5',
    backend,
    [
      read,
      flat.setStart,
      flat.setClasses,
      flat.activeStart,
      flat.activeExpert,
      flat.activeAt,
      flat.probabilities,
      written,
      steps,
      residual,
    ],
    [N, C, experts.length, flat.setClasses.length, flat.activeExpert.length, flat.probabilities.length, mostSteps],
  )
  return {
    q: result as Tensor<'float32'>,
    steps: tensor('int32', [N], steps),
    residual: tensor('float64', [N], residual),
    unsolved: residual.reduce((count, r) => count + (r > 1e-6 ? 1 : 0), 0),
  }
}

/** Experts as the kernel takes them: sets one behind the other, probabilities too, and for each row its active experts. */
function flatten(caller: string, experts: readonly ExpertAnswers[], N: number, C: number) {
  const sets = experts.map(({ classes }, m) => {
    const name = `experts[${m}].classes`
    const set = Int32Array.from(classes, (c) => whole(caller, name, c, 0, C - 1))
    if (set.length === 0 || set.length >= C)
      throw new ArgumentError(caller, name, `1 … ${C - 1} of the ${C} classes`, set.length)
    if (new Set(set).size < set.length) throw new ArgumentError(caller, name, 'different classes', [...set])
    return set
  })
  const rows = experts.map(({ rows: asked, probabilities }, m) => {
    const name = `experts[${m}].rows`
    const own = Int32Array.from(asked, (r) => whole(caller, name, r, 0, N - 1))
    if (new Set(own).size < own.length) throw new ArgumentError(caller, name, 'different rows', 'a row twice')
    dims(caller, {
      [`experts[${m}].probabilities`]: [probabilities, `${own.length} ${sets[m]!.length + 1}`, 'float32'],
    })
    return own
  })
  const activeStart = new Int32Array(N)
  for (const own of rows) for (const r of own) if (r + 1 < N) activeStart[r + 1]!++
  for (let r = 1; r < N; r++) activeStart[r]! += activeStart[r - 1]!
  const total = rows.reduce((sum, own) => sum + own.length, 0)
  const [activeExpert, activeAt, next] = [new Int32Array(total), new Int32Array(total), activeStart.slice()]
  const lengths = sets.map((set, m) => rows[m]!.length * (set.length + 1))
  const probabilities = new Float32Array(lengths.reduce((sum, length) => sum + length, 0))
  let at = 0
  for (const [m, own] of rows.entries()) {
    const name = `experts[${m}].probabilities`
    probabilities.set(memory(caller, name, experts[m]!.probabilities, 'float32') as Float32Array, at)
    for (const r of own) {
      const place = next[r]!++
      activeExpert[place] = m
      activeAt[place] = at
      at += sets[m]!.length + 1
    }
  }
  const setStart = new Int32Array(sets.length)
  for (let m = 1; m < sets.length; m++) setStart[m] = setStart[m - 1]! + sets[m - 1]!.length
  const setClasses = new Int32Array(sets.reduce((sum, set) => sum + set.length, 0))
  for (const [m, set] of sets.entries()) setClasses.set(set, setStart[m])
  return { setStart, setClasses, activeStart, activeExpert, activeAt, probabilities }
}
