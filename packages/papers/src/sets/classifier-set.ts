import { type Dataset, type SpokenDigits, split, subset, type TrainTest } from '@imago/data'
import { elementCount, permutation, type Rng, rng } from '@imago/tensor'
import { speechSplit } from '../speech/speech-split.js'

/** A classification task as recipes see it: rows of `input` [N, inputs], with labels. */
export interface ClassifierSet {
  readonly name: string
  readonly inputs: number
  readonly classes: number
  readonly train: Dataset
  /** What decides when to stop and which settings to take; drawn from the training rows. */
  readonly heldOut: Dataset
  readonly test: Dataset
  /** A random share of the training rows: of whole utterances where rows are frames. */
  few(share: number, random: Rng): Dataset
}

/** Images as rows, one in twelve of the training images held out. @param oneIn one image in so many is learned from */
export function imageSet(name: string, { train, test }: TrainTest, oneIn = 1): ClassifierSet {
  const parts = split(train, { validation: 1 / 12, rng: rng(0).split('held out') })
  const learn = oneIn === 1 ? parts.train : subset(parts.train, everyNth(parts.train.length, oneIn))
  return {
    name,
    ...sizesOf(train),
    train: learn,
    heldOut: parts.validation,
    test,
    few: (share, random) => subset(learn, chosen(learn.length, share, random)),
  }
}

/**
 * Frames of spoken digits with 7 frames before and after → HMM states, on the authors' split.
 * @param oneIn one utterance in so many is learned from
 */
export function speechSet(digits: SpokenDigits, oneIn = 1): ClassifierSet {
  const { train, heldOut, test } = speechSplit({ digits, context: { before: 7, after: 7 } })
  const { starts } = train.frames
  const learn = train.utterances.map((_, u) => u).filter((u) => u % oneIn === 0)
  const framesOf = (utterances: readonly number[]): Dataset =>
    subset(
      train.frames,
      utterances.flatMap((u) => Array.from({ length: starts[u + 1]! - starts[u]! }, (_, t) => starts[u]! + t)),
    )
  return {
    name: 'fsdd',
    ...sizesOf(train.frames),
    train: oneIn === 1 ? train.frames : framesOf(learn),
    heldOut: heldOut.frames,
    test: test.frames,
    few: (share, random) => framesOf(chosen(learn.length, share, random).map((i) => learn[i]!)),
  }
}

function sizesOf(data: Dataset): { inputs: number; classes: number } {
  const [, ...dims] = data.rows(Uint32Array.of(0)).inputs.input!.dims
  return { inputs: elementCount(dims), classes: data.classes! }
}

/** A share of 0 … count − 1, at least one, in order. */
function chosen(count: number, share: number, random: Rng): number[] {
  const size = Math.max(1, Math.round(share * count))
  return [...permutation(random, count).slice(0, size)].sort((a, b) => a - b)
}

function everyNth(count: number, n: number): Uint32Array {
  return Uint32Array.from({ length: Math.ceil(count / n) }, (_, i) => i * n)
}
