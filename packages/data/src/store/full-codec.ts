import { arrayTypes, type Tensor, tensorMap } from '@imago/tensor'
import type { Codec } from './codec.js'
import type { FullEncoding } from './encoding.js'
import { checkRows, logitsOf, rounded } from './logits.js'

/** Every logit, one after another. */
export function fullCodec({ type }: FullEncoding, classes: number): Codec {
  let memory: Tensor | undefined
  return {
    encode(caller, targets, ids) {
      const given = logitsOf(caller, targets, ids.length, classes)
      const kept = rounded(given, type, memory)
      if (kept !== given) memory = kept
      checkRows(caller, given, kept, classes, ids)
      const { buffer, byteOffset, byteLength } = kept.data
      return new Uint8Array(buffer, byteOffset, byteLength)
    },
    decode(_, payloads, rows) {
      const data = new arrayTypes[type](payloads.buffer, payloads.byteOffset, rows * classes)
      return tensorMap([['logits', { type, dims: [rows, classes], data } as Tensor]])
    },
  }
}
