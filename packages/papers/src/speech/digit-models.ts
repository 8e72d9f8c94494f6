import { StateError } from '@imago/tensor'
import type { HiddenMarkovModel } from './viterbi.js'

/** What the alignment of the training utterances says about states. */
export interface StateStatistics {
  /** [S]: log of each state's share of the frames, with one frame more for each. */
  readonly logPrior: Float64Array
  /** [S]: the probability to stay in a state for the next frame. */
  readonly stay: Float64Array
}

/** Count states and how long they last. @param alignments the state of each frame, one array an utterance */
export function stateStatistics(alignments: readonly ArrayLike<number>[], states: number): StateStatistics {
  const frames = new Float64Array(states).fill(1)
  const stays = new Float64Array(states).fill(1)
  const steps = new Float64Array(states).fill(2)
  for (const alignment of alignments)
    for (let t = 0; t < alignment.length; t++) {
      const state = alignment[t]!
      frames[state]! += 1
      if (t + 1 === alignment.length) continue
      steps[state]! += 1
      if (alignment[t + 1] === state) stays[state]! += 1
    }
  const all = frames.reduce((a, b) => a + b)
  return { logPrior: frames.map((count) => Math.log(count / all)), stay: stays.map((count, s) => count / steps[s]!) }
}

/**
 * A word from left to right: silence if there is any, three states a phone, silence if there is any. A state may last, give way to the
 * next or to the one after it, as in the alignment (Bakis' topology); both ways out are equally likely.
 */
export function wordModel(
  phones: readonly string[],
  states: readonly string[],
  { stay }: Pick<StateStatistics, 'stay'>,
): HiddenMarkovModel {
  const names = ['sil', ...phones.flatMap((phone) => [0, 1, 2].map((part) => `${phone}_${part}`)), 'sil']
  const emits = names.map((name) => {
    const state = states.indexOf(name)
    if (state < 0) throw new StateError(`wordModel: there is no state ${name}`, `There are ${states.join(', ')}`)
    return state
  })
  const last = names.length - 1
  const leave = (place: number): number => Math.log((1 - stay[emits[place]!]!) / 2)
  return {
    emits,
    start: names.map((_, place) => (place <= 2 ? -Math.log(3) : Number.NEGATIVE_INFINITY)),
    end: names.map((_, place) => (place >= last - 2 ? 0 : Number.NEGATIVE_INFINITY)),
    into: names.map((_, place) => [
      { from: place, log: Math.log(stay[emits[place]!]!) },
      ...[place - 1, place - 2].filter((from) => from >= 0).map((from) => ({ from, log: leave(from) })),
    ]),
  }
}
