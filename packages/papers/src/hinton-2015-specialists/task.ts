import { type Augment, type Characters, type Dataset, type Omniglot, split, subset } from '@imago/data'
import { elementCount, permutation, rng } from '@imago/tensor'

/** Classes that look alike: rows `input` [N, inputs] to learn from, to stop and choose by, and to count errors on. */
export interface SpecialistTask {
  readonly name: string
  readonly inputs: number
  readonly classes: number
  /** What people call each class. */
  readonly names: readonly string[]
  readonly train: Dataset
  readonly heldOut: Dataset
  readonly test: Dataset
  readonly augment?: Augment
}

/** EMNIST on its own test set; one training image in twelve is held out. @param oneIn one image in so many is learned from */
export function emnistTask({ train, test, names }: Characters, oneIn = 1): SpecialistTask {
  const parts = split(train, { validation: 1 / 12, rng: rng(0).split('held out') })
  const every = Uint32Array.from({ length: Math.ceil(parts.train.length / oneIn) }, (_, i) => i * oneIn)
  return {
    name: 'emnist',
    inputs: widthOf(train),
    classes: names.length,
    names,
    train: oneIn === 1 ? parts.train : subset(parts.train, every),
    heldOut: parts.validation,
    test,
  }
}

/**
 * Omniglot, split by who drew: a fifth of the drawers are tested on, a tenth held out, the same ones for everybody. A class is called after its
 * alphabet and its place there.
 */
export function omniglotTask({ images, drawers, alphabets, names }: Omniglot): SpecialistTask {
  const people = [...new Set(drawers)].sort((a, b) => a - b)
  const order = [...permutation(rng(0).split('drawers'), people.length)].map((i) => people[i]!)
  const [test, held] = [Math.max(1, Math.round(people.length / 5)), Math.max(1, Math.round(people.length / 10))]
  const drawnBy = (chosen: readonly number[]): Dataset =>
    subset(
      images,
      [...drawers.keys()].filter((row) => chosen.includes(drawers[row]!)),
    )
  return {
    name: 'omniglot',
    inputs: widthOf(images),
    classes: alphabets.length,
    names: Array.from(alphabets, (a, c) => `${names[a]!} ${c - alphabets.indexOf(a) + 1}`),
    train: drawnBy(order.slice(test + held)),
    heldOut: drawnBy(order.slice(test, test + held)),
    test: drawnBy(order.slice(0, test)),
  }
}

function widthOf(data: Dataset): number {
  const [, ...dims] = data.rows(Uint32Array.of(0)).inputs.input!.dims
  return elementCount(dims)
}
