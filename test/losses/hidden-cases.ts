import {
  attentionTransfer,
  fsp,
  type HiddenTensor,
  hint,
  type LossGraph,
  pkt,
  rkd,
  similarityPreserving,
  vid,
} from '@imago/losses'
import { rng } from '@imago/tensor'

export type Type = 'float32' | 'float64'

/** What a case of the goldens is in imago: tensors by side, and whether it has learned parameters. */
type Make = (student: HiddenTensor[], teacher: HiddenTensor[], type: Type, parameters: readonly string[]) => LossGraph

const random = rng(7)

/** The loss of each name in the goldens. */
export const losses: { readonly [name: string]: Make } = {
  hint: ([student], [teacher], type, parameters) =>
    hint({ student: student!, teacher: teacher!, type, ...(parameters.length > 0 && { rng: random }) }),
  attention: ([student], [teacher], type) => attentionTransfer({ student: student!, teacher: teacher!, type }),
  fsp: ([a, b], [c, d], type) => fsp({ student: [a!, b!], teacher: [c!, d!], type }),
  similarity: ([student], [teacher], type) => similarityPreserving({ student: student!, teacher: teacher!, type }),
  rkd: ([student], [teacher], type) => rkd({ student: student!, teacher: teacher!, type }),
  pkt: ([student], [teacher], type) => pkt({ student: student!, teacher: teacher!, type }),
  vid: ([student], [teacher], type, parameters) => {
    const middle = parameters.length > 0 ? 4 : 2
    return vid({
      student: student!,
      teacher: teacher!,
      type,
      rng: random,
      middle: student!.dims.length === 3 ? middle : 2,
    })
  },
}

/** Losses that compare the rows of a batch with each other. */
export const relational: ReadonlySet<string> = new Set(['similarity', 'rkd', 'pkt'])
