import { createGunzip } from 'node:zlib'
import { FormatError } from '@imago/tensor'
import { MOST_IN_MEMORY } from './open-source.js'

/** Deflate cannot do better than 1032 : 1, so a claim beyond that is refused before anything is allocated. */
export const BEST_RATIO = 1032

export const isGzip = (head: Uint8Array): boolean => head[0] === 0x1f && head[1] === 0x8b

/**
 * Unpack gzip into exactly as many bytes as the unpacked header asks for: `measure` sees the first bytes and returns the
 * total, or undefined while it needs more. A bomb is cut off at its header's size, and data that ends early or goes on is
 * refused.
 */
export async function gunzip(
  packed: Uint8Array,
  name: string,
  measure: (head: Uint8Array) => number | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = createGunzip({ chunkSize: 1 << 18 })
  stream.end(packed)
  let head = new Uint8Array(0)
  let out: Uint8Array<ArrayBuffer> | undefined
  let length = 0
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      if (out === undefined) {
        head = Buffer.concat([head, chunk])
        const total = measure(head)
        if (total === undefined) continue
        out = allocate(total, packed.byteLength, name)
        length = put(out, head, 0, name)
      } else length = put(out, chunk, length, name)
    }
  } catch (cause) {
    if (cause instanceof FormatError) throw cause
    throw new FormatError(name, `is no sound gzip file (${(cause as Error).message})`, { cause })
  } finally {
    stream.destroy()
  }
  if (stream.bytesWritten < packed.byteLength)
    throw new FormatError(`${name}, byte ${stream.bytesWritten}`, 'data after the end of the gzip stream')
  if (out === undefined) throw new FormatError(`${name}, unpacked byte ${head.byteLength}`, 'ends inside its header')
  if (length < out.byteLength)
    throw new FormatError(
      `${name}, unpacked byte ${length}`,
      `ends early: the header asks for ${out.byteLength} bytes in all`,
    )
  return out
}

function allocate(total: number, packed: number, name: string): Uint8Array<ArrayBuffer> {
  if (total > packed * BEST_RATIO + 1024)
    throw new FormatError(name, `its header asks for ${total} bytes, which ${packed} packed bytes cannot hold`)
  if (total > MOST_IN_MEMORY)
    throw new FormatError(name, `its header asks for ${total} bytes; at most ${MOST_IN_MEMORY} are unpacked in memory`)
  try {
    return new Uint8Array(total)
  } catch (cause) {
    throw new FormatError(name, `its header asks for ${total} bytes, more than there is memory for`, { cause })
  }
}

function put(out: Uint8Array, chunk: Uint8Array, at: number, name: string): number {
  if (at + chunk.byteLength > out.byteLength)
    throw new FormatError(
      `${name}, unpacked byte ${out.byteLength}`,
      `goes on after the ${out.byteLength} bytes that its header asks for`,
    )
  out.set(chunk, at)
  return at + chunk.byteLength
}
