import { createHash } from 'node:crypto'
import { encode, lenet5, type Model, mlp, readModel } from '@imago/onnx'
import { ArgumentError, type Rng } from '@imago/tensor'
import type { TrainingOptions } from '../options.js'

/** The student that the options name: a file, or a fresh architecture with seeded weights. */
export async function studentModel(options: Pick<TrainingOptions, 'student' | 'arch'>, random: Rng): Promise<Model> {
  const { student, arch } = options
  if ((student === undefined) === (arch === undefined))
    throw new ArgumentError(
      'imago',
      '--student, --arch',
      'exactly one of the two',
      student === undefined ? 'neither' : 'both',
    )
  return student === undefined ? architecture(arch!, random) : readModel(student)
}

function architecture(text: string, random: Rng): Model {
  if (text === 'lenet5') return lenet5({ rng: random })
  const sizes = /^mlp:(\d+(?:-\d+)+)$/.exec(text)?.[1]?.split('-').map(Number)
  if (sizes === undefined || sizes.some((size) => size < 1))
    throw new ArgumentError('imago', '--arch', 'lenet5, or mlp: and sizes such as mlp:784-800-800-10', text)
  return mlp(sizes, { rng: random })
}

/** SHA-256 of a model as written: what makes one model another. */
export function digestOf(model: Model): string {
  return createHash('sha256').update(encode(model)).digest('hex')
}
