import type { Batches } from '@imago/data'
import {
  attentionTransfer,
  crd,
  fsp,
  type HiddenTensor,
  hint,
  type LossGraph,
  pkt,
  rkd,
  similarityPreserving,
  vid,
} from '@imago/losses'
import { type OpenLoss, openLoss, type Student } from '@imago/runtime'
import { ArgumentError, type Rng, type Targets } from '@imago/tensor'
import { hiddenTensors } from '@imago/trainer'

/** One `--hint`, read: which loss, how much it weighs, and which tensors meet. */
export interface Hint {
  readonly loss: string
  readonly weight: number
  readonly student: readonly string[]
  readonly teacher: readonly string[]
}

/** What a loss is made of. */
interface Given {
  readonly student: readonly HiddenTensor[]
  readonly teacher: readonly HiddenTensor[]
  readonly rng: Rng
  /** Rows of the data. */
  readonly rows: number
}

interface Known {
  /** The weight of the CRD authors' benchmark, beside soft targets of weight 1. */
  readonly weight: number
  /** Tensors on each side. */
  readonly tensors: number
  readonly make: (given: Given) => LossGraph
}

const one =
  (make: (pair: { student: HiddenTensor; teacher: HiddenTensor; rng: Rng; rows: number }) => LossGraph) =>
  ({ student, teacher, ...rest }: Given): LossGraph =>
    make({ ...rest, student: student[0]!, teacher: teacher[0]! })

const known: { readonly [loss: string]: Known } = {
  hint: { weight: 100, tensors: 1, make: one(hint) },
  attention: { weight: 1000, tensors: 1, make: one(attentionTransfer) },
  fsp: {
    weight: 50,
    tensors: 2,
    make: ({ student, teacher }) => fsp({ student: [student[0]!, student[1]!], teacher: [teacher[0]!, teacher[1]!] }),
  },
  similarity: { weight: 3000, tensors: 1, make: one(similarityPreserving) },
  rkd: { weight: 1, tensors: 1, make: one(rkd) },
  pkt: { weight: 30000, tensors: 1, make: one(pkt) },
  vid: { weight: 1, tensors: 1, make: one(vid) },
  crd: { weight: 0.8, tensors: 1, make: one(crd) },
}

/** How a hint is written. */
export const hintSyntax: string = `${Object.keys(known).join('|')}[*WEIGHT]:STUDENT=TEACHER`

/** `loss[*weight]:student=teacher`; `fsp` takes two tensors with a comma on each side. @throws ArgumentError */
export function readHint(text: string): Hint {
  const refuse = (expected: string, got: string = text): never => {
    throw new ArgumentError('imago', '--hint', expected, got)
  }
  const [, loss = '', factor, pairs = ''] = /^\s*([a-z]+)(?:\*([^:]+))?:(.+)$/s.exec(text) ?? refuse(hintSyntax)
  const entry = Object.hasOwn(known, loss) ? known[loss]! : refuse(`one of ${Object.keys(known).join(', ')}`, loss)
  const weight = factor === undefined ? entry.weight : Number(factor)
  if (!(weight > 0 && weight < Number.POSITIVE_INFINITY)) refuse(`${loss}*WEIGHT with a weight > 0`, factor)
  const sides = pairs.split('=')
  if (sides.length !== 2) refuse(`${loss}:STUDENT=TEACHER with one = between the two`)
  const [student, teacher] = sides.map((side) => side.split(',').map((name) => name.trim())) as [string[], string[]]
  for (const names of [student, teacher])
    if (names.length !== entry.tensors || names.includes(''))
      refuse(`${loss} with ${entry.tensors === 1 ? 'one tensor' : 'two tensors and a comma'} on each side of =`)
  return { loss, weight, student, teacher }
}

/** The hints as losses over what student and teacher give, each by a name for reports. */
export async function openHints(
  hints: readonly Hint[],
  options: {
    readonly student: Student
    readonly targets: Targets
    readonly data: Batches
    readonly rng: Rng
    readonly threads: number
    readonly signal?: AbortSignal
  },
): Promise<{ readonly terms: { [name: string]: readonly [OpenLoss, number] }; readonly dispose: () => Promise<void> }> {
  const { threads, data } = options
  const seen = await hiddenTensors(options)
  const rows = hints.some(({ loss }) => loss === 'crd') ? await rowsOf(data) : 1
  const terms: { [name: string]: readonly [OpenLoss, number] } = {}
  const dispose = async (): Promise<void> => {
    for (const [loss] of Object.values(terms)) await loss.dispose()
  }
  try {
    for (const [i, { loss, weight, student, teacher }] of hints.entries()) {
      const name = hints.findIndex((other) => other.loss === loss) === i ? loss : `${loss}${i + 1}`
      const graph = known[loss]!.make({
        student: student.map(seen.student),
        teacher: teacher.map(seen.teacher),
        rng: options.rng.split(name),
        rows,
      })
      terms[name] = [await openLoss(graph, { threads }), weight]
    }
  } catch (error) {
    await dispose()
    throw error
  }
  return { terms, dispose }
}

/** One more than the largest id: what a memory of rows has to hold. */
async function rowsOf(data: Batches): Promise<number> {
  let rows = 0
  for await (const { ids } of data.epoch(0)) for (const id of ids) rows = Math.max(rows, id + 1)
  return rows
}
