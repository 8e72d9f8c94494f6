import { ema } from '@imago/kernels'
import { ArgumentError, clone, StateError, type TensorMap, tensorMap } from '@imago/tensor'
import { finiteNumber } from './finite-number.js'

export interface ExponentialMovingAverageOptions {
  /** d in [0, 1]: how much of the average stays at each update; default 0.999. */
  readonly decay?: number
  /** True: update t (from 0) takes min(d, (1 + t)/(10 + t)), so that the first weights are forgotten soon; default false. */
  readonly warmUp?: boolean
}

/** What a checkpoint keeps of an average. */
export interface MovingAverageState {
  readonly updates: number
  readonly average: TensorMap
}

/** Weights averaged over the steps of training. */
export interface MovingAverage {
  /** The averages by parameter name: the same tensors throughout, none before the first update. */
  readonly average: TensorMap
  /** Take the parameters in: after each optimizer step. */
  update(parameters: TensorMap): void
  /** The state, not copied: write it before the next update. */
  state(): MovingAverageState
  restore(state: MovingAverageState): void
}

/**
 * The exponential moving average of weights: ā ← d·ā + (1 − d)·w after each step, from ā = w at the first. Its model is often
 * better than the last one and is the teacher of mean-teacher training (Polyak & Juditsky 1992; Tarvainen & Valpola 2017, §2).
 * float32 parameters; the others are left out.
 *
 * @throws ArgumentError for a decay outside [0, 1]; `update` throws StateError where the parameters are not those of the first
 */
export function exponentialMovingAverage(options: ExponentialMovingAverageOptions = {}): MovingAverage {
  const caller = 'exponentialMovingAverage'
  const { warmUp = false } = options
  const decay = finiteNumber(caller, 'decay', options.decay ?? 0.999, 0)
  if (decay > 1) throw new ArgumentError(caller, 'decay', 'in [0, 1]', decay)
  let average = tensorMap()
  let updates = 0

  return {
    get average() {
      return average
    },
    update(parameters) {
      const trained = Object.entries(parameters).filter(([, { type }]) => type === 'float32')
      if (updates === 0) average = tensorMap(trained.map(([name, value]) => [name, clone(value)]))
      else {
        check(average, trained)
        const share = warmUp ? Math.min(decay, (1 + updates) / (10 + updates)) : decay
        for (const [name, x] of trained) ema({ average: average[name]!, x, decay: share })
      }
      updates++
    },
    state: () => ({ updates, average }),
    restore(state) {
      if (!Number.isSafeInteger(state.updates) || state.updates < 0)
        throw new StateError(
          `The state of an average says ${state.updates} updates`,
          'Use a state that state() returned',
        )
      average = tensorMap(Object.entries(state.average).map(([name, value]) => [name, clone(value)]))
      updates = state.updates
    },
  }
}

/** Nothing is written where one parameter does not fit. */
function check(average: TensorMap, parameters: readonly (readonly [string, TensorMap[string]])[]): void {
  const remedy = 'An average goes on with the parameters that it began with; make a new one for another model'
  for (const [name, { dims }] of parameters) {
    if (average[name] === undefined) throw new StateError(`The average has no ${JSON.stringify(name)}`, remedy)
    if (average[name].dims.join() !== dims.join())
      throw new StateError(
        `${JSON.stringify(name)} is [${average[name].dims.join(', ')}] in the average, [${dims.join(', ')}] now`,
        remedy,
      )
  }
  const missing = Object.keys(average).length - parameters.length
  if (missing > 0) throw new StateError(`${missing} of the averaged parameters are not there`, remedy)
}
