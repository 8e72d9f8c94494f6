import { decodeFloat16, encodeFloat16 } from '@imago/kernels'
import { FormatError, NumericError, tensor, tensorMap } from '@imago/tensor'
import { readBits, writeBits } from './bits.js'
import type { Codec } from './codec.js'
import { eliasFanoBits, readEliasFano, writeEliasFano } from './elias-fano.js'
import { type CompactEncoding, payloadBytes } from './encoding.js'
import { tailName } from './tail-name.js'
import { topKRows } from './top-k-rows.js'

/**
 * The classes by Elias and Fano, each logit as steps below the largest of its row, the width of the row in float16, and a float16 tail for each
 * temperature. What is left of a logit is the nearest of 2^bits − 1 levels; the lowest code is −∞. A constant that is added to a row is
 * not kept, as softmax does not see it.
 *
 * A step is s = width / (2^bits − 2), so an error at most s/2, and by Hoeffding's lemma T²·KL(p ‖ kept) ≤ s²/8 at every T, plus at most 8·10⁻⁸·T² for
 * the tail's rounding.
 */
export function compactCodec(encoding: CompactEncoding, classes: number): Codec {
  const { k, bits, temperatures } = encoding
  const bytes = payloadBytes(encoding, classes)
  const indexBits = eliasFanoBits(k, classes)
  const packed = bytes - 2 - 2 * temperatures.length
  const top = 2 ** bits - 1

  return {
    encode(caller, targets, ids) {
      const rows = topKRows(caller, targets, ids, classes, encoding, 'float32')
      const out = new Uint8Array(ids.length * bytes)
      const view = new DataView(out.buffer)
      for (let r = 0; r < ids.length; r++) {
        const at = r * bytes
        const part = out.subarray(at, at + packed)
        writeEliasFano(part, 0, rows.classes.subarray(r * k, (r + 1) * k), classes)
        const values = rows.values.subarray(r * k, (r + 1) * k)
        const { most, width } = spread(values)
        const half = encodeUp(width)
        const step = decodeFloat16(half) / (top - 1)
        if (!Number.isFinite(step))
          throw new NumericError(
            caller,
            `the logits of row ${ids[r]} span ${width}, more than compact rows can; keep them as top-k`,
          )
        for (let i = 0; i < k; i++) writeBits(part, indexBits + i * bits, codeOf(values[i]!, most, step, top), bits)
        view.setUint16(at + packed, half, true)
        for (const [t, tail] of rows.logTails.entries())
          view.setUint16(at + packed + 2 + 2 * t, encodeFloat16(tail[r]!), true)
      }
      return out
    },
    decode(where, payloads, rows) {
      const view = new DataView(payloads.buffer, payloads.byteOffset)
      const indices = new Int32Array(rows * k)
      const values = new Float32Array(rows * k)
      const logTails = temperatures.map(() => new Float64Array(rows))
      for (let r = 0; r < rows; r++) {
        const at = r * bytes
        const part = payloads.subarray(at, at + packed)
        if (!readEliasFano(part, 0, k, classes, indices, r * k))
          throw new FormatError(where, `holds a row whose classes are none; fill the store again`)
        const step = decodeFloat16(view.getUint16(at + packed, true)) / (top - 1)
        for (let i = 0; i < k; i++) {
          const code = readBits(part, indexBits + i * bits, bits)
          values[r * k + i] = code === 0 ? Number.NEGATIVE_INFINITY : (code - top) * step
        }
        for (const [t, tail] of logTails.entries())
          tail[r] = decodeFloat16(view.getUint16(at + packed + 2 + 2 * t, true))
      }
      return tensorMap([
        ['indices', tensor('int32', [rows, k], indices)],
        ['values', tensor('float32', [rows, k], values)],
        ...logTails.map((tail, t) => [tailName(temperatures[t]!), tensor('float64', [rows], tail)] as const),
      ])
    },
  }
}

function codeOf(value: number, most: number, step: number, top: number): number {
  if (value === Number.NEGATIVE_INFINITY) return 0
  return step === 0 ? top : Math.max(1, top - Math.round((most - value) / step))
}

/** The largest logit, and how far the least finite one lies below it. */
function spread(values: Float32Array): { most: number; width: number } {
  let most = Number.NEGATIVE_INFINITY
  let least = Number.POSITIVE_INFINITY
  for (const value of values) {
    if (value === Number.NEGATIVE_INFINITY) continue
    if (value > most) most = value
    if (value < least) least = value
  }
  return most === Number.NEGATIVE_INFINITY ? { most: 0, width: 0 } : { most, width: most - least }
}

/** The least float16 number that is not below. */
function encodeUp(value: number): number {
  const bits = encodeFloat16(value)
  return decodeFloat16(bits) < value ? bits + 1 : bits
}
