import type { HiddenTensor } from '@imago/losses'
import { describe, NotFoundError, type Targets, type TensorMap } from '@imago/tensor'
import type { FitOptions } from './fit.js'
import { firstRow } from './start-check.js'

/** What student and teacher give, as losses on hidden tensors want it described. */
export interface HiddenTensors {
  /** An output of the student by name. @throws NotFoundError naming those that there are */
  student(name: string): HiddenTensor
  /** A tensor that the teacher gives. @throws NotFoundError */
  teacher(name: string): HiddenTensor
}

/** Look at one row of the data through student and teacher: which tensors there are, and the dims of a row of each. */
export async function hiddenTensors(
  options: Pick<FitOptions, 'student' | 'data' | 'signal'> & { readonly targets: Targets },
): Promise<HiddenTensors> {
  const { student, data, targets, signal } = options
  const row = await firstRow('hiddenTensors', data)
  const { outputs } = await student.differentiable.forward(student.parameters, row.inputs, { train: false })
  const own = described(outputs)
  const theirs = described(await targets({ ids: row.ids, inputs: row.inputs }, signal))
  return { student: (name) => find('student', name, own), teacher: (name) => find('teacher', name, theirs) }
}

type Described = ReadonlyMap<string, HiddenTensor>

function described(tensors: TensorMap): Described {
  return new Map(Object.entries(tensors).map(([name, { dims }]) => [name, { name, dims: dims.slice(1) }]))
}

function find(who: string, name: string, tensors: Described): HiddenTensor {
  const found = tensors.get(name)
  if (found !== undefined) return found
  throw new NotFoundError(
    `the ${who} gives no tensor ${describe(name)}`,
    `It gives ${[...tensors.keys()].join(', ')}; name others in the option "also" when it is opened`,
  )
}
