import {
  type Frames,
  type FrameWindows,
  frameWindows,
  logMel,
  normaliseFrames,
  type SpokenDigit,
  type SpokenDigits,
} from '@imago/data'
import { NotFoundError, permutation, rng } from '@imago/tensor'

/** Utterances and their frames as a data set. */
export interface SpeechPart {
  readonly utterances: readonly SpokenDigit[]
  readonly frames: FrameWindows
}

/** Utterances to learn from, to stop and choose by, and to count errors on. */
export interface SpeechSplit {
  readonly name: string
  /** True where the speaker who is tested is in no other part. */
  readonly unheard: boolean
  readonly train: SpeechPart
  readonly heldOut: SpeechPart
  readonly test: SpeechPart
}

export interface SpeechSplitOptions {
  readonly digits: SpokenDigits
  /** Absent: the authors' split, recordings 0 … 4 of each speaker and digit are the test set. Else: that speaker is. */
  readonly leaveOut?: string | undefined
  /** Frames of context before and after. */
  readonly context: { readonly before: number; readonly after: number }
  /** Take one utterance in so many; default 1. */
  readonly oneIn?: number
  /** The share of the training utterances that is held out; default 0.1. */
  readonly heldOut?: number
}

/**
 * Features, normalised by speaker over everything that he says, and the three parts. Held-out utterances are drawn from those to learn from,
 * the same ones for everybody; a left-out speaker's are never among them.
 *
 * @throws NotFoundError where a part would be empty
 */
export function speechSplit(options: SpeechSplitOptions): SpeechSplit {
  const { digits, leaveOut, context, oneIn = 1, heldOut = 0.1 } = options
  const features = logMel({ rate: digits.rate })
  // Utterances shorter than a window have no frames and no states.
  const spoken = digits.utterances.filter(({ states }, i) => states.length > 0 && i % oneIn === 0)
  const framesOf = new Map<SpokenDigit, Frames>()
  for (const speaker of new Set(spoken.map((one) => one.speaker))) {
    const own = spoken.filter((one) => one.speaker === speaker)
    for (const [i, frames] of normaliseFrames(own.map(({ samples }) => features(samples))).entries())
      framesOf.set(own[i]!, frames)
  }
  const isTest = ({ speaker, index }: SpokenDigit): boolean =>
    leaveOut === undefined ? index < 5 : speaker === leaveOut
  const learn = spoken.filter((one) => !isTest(one))
  const order = permutation(rng(0).split('held out'), learn.length)
  const count = Math.round(heldOut * learn.length)
  const held = new Set(order.slice(0, count))
  const part = (name: string, utterances: readonly SpokenDigit[]): SpeechPart => {
    if (utterances.length === 0)
      throw new NotFoundError(
        `There are no utterances for ${name}`,
        `Speakers are ${[...new Set(digits.utterances.map(({ speaker }) => speaker))].join(', ')}`,
      )
    const rows = utterances.map((one) => ({ frames: framesOf.get(one)!, labels: one.states }))
    return { utterances, frames: frameWindows({ utterances: rows, ...context, classes: digits.states.length }) }
  }
  return {
    name: leaveOut === undefined ? 'official' : `without ${leaveOut}`,
    unheard: leaveOut !== undefined,
    train: part(
      'training',
      learn.filter((_, i) => !held.has(i)),
    ),
    heldOut: part(
      'validation',
      learn.filter((_, i) => held.has(i)),
    ),
    test: part('testing', spoken.filter(isTest)),
  }
}
