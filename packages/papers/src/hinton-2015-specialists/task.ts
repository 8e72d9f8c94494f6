import { affineAugment, type Characters, type Dataset, dataset, type Omniglot, split, subset, views } from '@imago/data'
import { elementCount, permutation, rng, type Tensor, tensor } from '@imago/tensor'
import { labelsOf } from '../of-classes.js'
import type { TaskSettings } from './options.js'

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

/** The task with moved views of each training image in its place, made once and kept in memory. */
export function withViews(task: SpecialistTask, settings: NonNullable<TaskSettings['views']>): SpecialistTask {
  const { count, ...moves } = settings
  const side = Math.round(Math.sqrt(task.inputs))
  const augment = affineAugment({ ...moves, height: side, width: side })
  const seen = views(task.train, { count, augment, rng: rng(0).split('views') })
  const pixels = new Float32Array(seen.length * task.inputs)
  for (let from = 0; from < seen.length; from += 1000) {
    const rows = Uint32Array.from({ length: Math.min(1000, seen.length - from) }, (_, i) => from + i)
    pixels.set((seen.rows(rows).inputs.input as Tensor<'float32'>).data, from * task.inputs)
  }
  const inputs = { input: tensor('float32', [seen.length, task.inputs], pixels) }
  return { ...task, train: dataset({ inputs, labels: labelsOf(seen), classes: task.classes }) }
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
