import { ArgumentError, ShapeError } from '@imago/tensor'

/** A hidden Markov model of P places; every number is a logarithm, −∞ is never. */
export interface HiddenMarkovModel {
  /** [P]: what each place emits, a column of the scores. */
  readonly emits: ArrayLike<number>
  /** [P]: beginning there. */
  readonly start: ArrayLike<number>
  /** [P]: ending there. */
  readonly end: ArrayLike<number>
  /** [P]: the ways into each place. */
  readonly into: readonly (readonly { readonly from: number; readonly log: number }[])[]
}

/** The best way through a model. */
export interface Decoded {
  /** Log-score of it; −∞ where no way fits the frames. */
  readonly score: number
  /** [T]: the place at each frame; empty where no way fits. */
  readonly path: Int32Array
}

/**
 * The path with the largest start + Σ_t score[t, emits] + Σ transitions + end (Viterbi 1967). Among equals the first way in.
 *
 * @param scores log-scores [T, S], row-major
 * @throws ShapeError for scores that are no whole frames, ArgumentError for a model that does not fit itself
 */
export function viterbi(scores: ArrayLike<number>, columns: number, model: HiddenMarkovModel): Decoded {
  const { emits, start, end, into } = model
  const places = emits.length
  const frames = scores.length / columns
  if (!Number.isInteger(frames)) throw new ShapeError('viterbi', 'scores', `[T, ${columns}]`, `[${scores.length}]`)
  if (start.length !== places || end.length !== places || into.length !== places)
    throw new ArgumentError('viterbi', 'model', `start, end and into of ${places} places`, [start.length, end.length])
  if (frames === 0 || places === 0) return { score: Number.NEGATIVE_INFINITY, path: new Int32Array(0) }
  const emitted = (t: number, place: number): number => scores[t * columns + emits[place]!]!
  const back = new Int32Array(frames * places).fill(-1)
  let now = Float64Array.from({ length: places }, (_, place) => start[place]! + emitted(0, place))
  let next = new Float64Array(places)
  for (let t = 1; t < frames; t++) {
    for (let place = 0; place < places; place++) {
      let best = Number.NEGATIVE_INFINITY
      for (const { from, log } of into[place]!) {
        const score = now[from]! + log
        if (score > best) {
          best = score
          back[t * places + place] = from
        }
      }
      next[place] = best + emitted(t, place)
    }
    ;[now, next] = [next, now]
  }
  let last = -1
  let score = Number.NEGATIVE_INFINITY
  for (let place = 0; place < places; place++) {
    const total = now[place]! + end[place]!
    if (total > score) {
      score = total
      last = place
    }
  }
  if (last === -1) return { score, path: new Int32Array(0) }
  const path = new Int32Array(frames)
  for (let t = frames - 1; t >= 0; t--) {
    path[t] = last
    last = back[t * places + last]!
  }
  return { score, path }
}
