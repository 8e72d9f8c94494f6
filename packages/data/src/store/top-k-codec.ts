import { arrayTypes, FormatError, type Tensor, tensor, tensorMap } from '@imago/tensor'
import type { Codec } from './codec.js'
import { eliasFanoBits, readEliasFano, writeEliasFano } from './elias-fano.js'
import { logitBytes, payloadBytes, type TopKEncoding } from './encoding.js'
import { rounded } from './logits.js'
import { tailName } from './tail-name.js'
import { topKRows } from './top-k-rows.js'

/** k logits in the order of their classes, the classes by Elias and Fano, then a float64 tail for each temperature. */
export function topKCodec(encoding: TopKEncoding, classes: number): Codec {
  const { k, values: type, temperatures } = encoding
  const bytes = payloadBytes(encoding, classes)
  const valueBytes = k * logitBytes[type]
  const indexBytes = Math.ceil(eliasFanoBits(k, classes) / 8)

  return {
    encode(caller, targets, ids) {
      const rows = topKRows(caller, targets, ids, classes, encoding, type)
      const out = new Uint8Array(ids.length * bytes)
      const view = new DataView(out.buffer)
      const kept = rounded(tensor('float32', [ids.length, k], rows.values), type).data
      const raw = new Uint8Array(kept.buffer, kept.byteOffset, kept.byteLength)
      for (let r = 0; r < ids.length; r++) {
        const at = r * bytes
        out.set(raw.subarray(r * valueBytes, (r + 1) * valueBytes), at)
        const chosen = rows.classes.subarray(r * k, (r + 1) * k)
        writeEliasFano(out.subarray(at + valueBytes, at + valueBytes + indexBytes), 0, chosen, classes)
        for (const [t, tail] of rows.logTails.entries())
          view.setFloat64(at + valueBytes + indexBytes + 8 * t, tail[r]!, true)
      }
      return out
    },
    decode(where, payloads, rows) {
      const view = new DataView(payloads.buffer, payloads.byteOffset)
      const indices = new Int32Array(rows * k)
      const values = new arrayTypes[type](rows * k)
      const raw = new Uint8Array(values.buffer)
      const logTails = temperatures.map(() => new Float64Array(rows))
      for (let r = 0; r < rows; r++) {
        const at = r * bytes
        raw.set(payloads.subarray(at, at + valueBytes), r * valueBytes)
        const packed = payloads.subarray(at + valueBytes, at + valueBytes + indexBytes)
        if (!readEliasFano(packed, 0, k, classes, indices, r * k))
          throw new FormatError(where, `holds a row whose classes are none; fill the store again`)
        for (const [t, tail] of logTails.entries())
          tail[r] = view.getFloat64(at + valueBytes + indexBytes + 8 * t, true)
      }
      return tensorMap([
        ['indices', tensor('int32', [rows, k], indices)],
        ['values', { type, dims: [rows, k], data: values } as Tensor],
        ...logTails.map((tail, t) => [tailName(temperatures[t]!), tensor('float64', [rows], tail)] as const),
      ])
    },
  }
}
