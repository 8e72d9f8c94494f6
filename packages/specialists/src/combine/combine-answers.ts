import { type Backend, type SolvedEq5, solveEq5 } from '@imago/kernels'
import { dims, type Tensor } from '@imago/tensor'
import type { ClassSet } from '../sets/class-set.js'

export interface Answers {
  readonly set: ClassSet
  /** Rows of the generalist's, one for each of its own. */
  readonly rows: ArrayLike<number>
  /** Probabilities `[n, |S| + 1]`, float32: those of the set's classes in its order, then of the dustbin. */
  readonly probabilities: Tensor
}

export interface CombineAnswersOptions {
  /** The generalist's probabilities `[N, C]`, float32. */
  readonly general: Tensor
  readonly answers: readonly Answers[]
  /** Evaluations that a row may take; 100 unless given. */
  readonly mostSteps?: number | undefined
  /** Where q goes, `[N, C]` float32; may be `general` itself. */
  readonly out?: Tensor | undefined
  readonly backend?: Backend | undefined
}

/**
 * One distribution for each row out of what the generalist and the specialists active there say (Hinton, Vinyals & Dean 2015, eq. 5); `solveEq5` of
 * @imago/kernels, by sets. For stored answers; `combineSpecialists` asks models.
 *
 * @throws ShapeError, ArgumentError, NumericError as `solveEq5` does
 */
export function combineAnswers({ general, answers, mostSteps, out, backend }: CombineAnswersOptions): SolvedEq5 {
  dims('combineAnswers', { general: [general, 'N C', 'float32'] })
  const experts = answers
    .filter(({ rows }) => rows.length > 0)
    .map(({ set, rows, probabilities }) => ({ classes: set.classes, rows, probabilities }))
  return solveEq5({ general, experts, mostSteps, out, backend })
}
