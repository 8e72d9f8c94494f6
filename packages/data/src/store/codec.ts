import type { TensorMap } from '@imago/tensor'
import { compactCodec } from './compact-codec.js'
import type { Encoding } from './encoding.js'
import { fullCodec } from './full-codec.js'
import { topKCodec } from './top-k-codec.js'

/** Turns targets into bytes and back: N payloads of equal length, one after another. */
export interface Codec {
  /**
   * Check targets of N rows and pack them; `ids` name rows in messages. The bytes are the codec's own: valid until the next call.
   *
   * @throws NotFoundError, ShapeError, ArgumentError, NumericError naming the row
   */
  encode(caller: string, targets: TensorMap, ids: Uint32Array): Uint8Array
  /** Tensors over `payloads` themselves, where they can be. @throws FormatError for what no encoder writes */
  decode(where: string, payloads: Uint8Array<ArrayBuffer>, rows: number): TensorMap
}

export function codecFor(encoding: Encoding, classes: number): Codec {
  switch (encoding.kind) {
    case 'full':
      return fullCodec(encoding, classes)
    case 'top-k':
      return topKCodec(encoding, classes)
    case 'compact':
      return compactCodec(encoding, classes)
  }
}
