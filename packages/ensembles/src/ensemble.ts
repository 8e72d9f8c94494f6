import type { Predict, Targets, TensorMap } from '@imago/tensor'
import { type Combine, shares } from './combine.js'
import { combined } from './combine-outputs.js'
import { checkCallable, memberLabels } from './member-labels.js'
import type { OutputOptions } from './member-logits.js'
import { runMembers } from './run-members.js'

export interface EnsembleOptions extends OutputOptions {
  /** Run the members all at once, not one after another; for members that wait for something else (a worker, a server). */
  readonly concurrent?: boolean | undefined
}

/**
 * Several predictors as one: inputs go to every member, their logits [N, C] through `combine` (`arithmetic`, `geometric`,
 * `logitMean`) to `logits` float32 [N, C], which mean what `combine` says. Other outputs of members are left out; members of
 * weight 0 are not run.
 *
 * @throws ArgumentError for an empty list or weights that do not fit it; the predictor: MemberError with the member that failed,
 *   ShapeError naming the member whose rows or classes differ, NumericError, the signal's reason
 */
export function ensemble(members: readonly Predict[], combine: Combine, options: EnsembleOptions = {}): Predict {
  return together('ensemble', members, combine, options)
}

/** The same for makers of targets, stored ones among them: several `Targets` as one. */
export function ensembleTargets(members: readonly Targets[], combine: Combine, options: EnsembleOptions = {}): Targets {
  return together('ensembleTargets', members, combine, options)
}

type Maker<Query> = (query: Query, signal?: AbortSignal) => Promise<TensorMap>

function together<Query>(
  caller: string,
  members: readonly Maker<Query>[],
  combine: Combine,
  options: EnsembleOptions,
): Maker<Query> {
  const { names, output, concurrent = false } = options
  const labels = memberLabels(caller, 'members', members, names)
  checkCallable(caller, labels, members)
  const all = shares(caller, combine, members.length)
  const counting = [...members.keys()].filter((m) => all[m]! > 0)
  const weights = counting.map((m) => all[m]!)
  const called = counting.map((m) => labels[m]!)
  return async (query, signal) => {
    const runs = counting.map((index) => ({
      index,
      label: labels[index]!,
      name: names?.[index],
      run: (stop: AbortSignal | undefined) => members[index]!(query, stop),
    }))
    const outputs = await runMembers(caller, runs, concurrent, signal)
    return combined(caller, called, outputs, combine, weights, output)
  }
}
