import { crc32, inflateRawSync } from 'node:zlib'
import { FormatError, UnsupportedError } from '@imago/tensor'
import { BEST_RATIO } from '../io/gunzip.js'
import { MOST_IN_MEMORY, type OpenSource, readAll } from '../io/open-source.js'
import { type ZipEntry, zipEntries } from './zip-entries.js'

/** A zip archive as far as .npz needs it: what is in it, and each member's bytes on demand. */
export interface Zip {
  readonly names: readonly string[]
  /**
   * The unpacked bytes of a member, in memory of their own.
   *
   * @throws FormatError where they are not as long as the directory says or their CRC-32 is wrong
   */
  member(name: string): Uint8Array<ArrayBuffer>
}

/** Open a zip archive: stored and deflated members, zip64. Never writes a file, whatever the members are called. */
export async function readZip(file: OpenSource): Promise<Zip> {
  const bytes = await readAll(file)
  const entries = zipEntries(bytes, file.name)
  return {
    names: [...entries.keys()],
    member(name) {
      const entry = entries.get(name)
      if (entry === undefined) throw new FormatError(file.name, `has no member ${JSON.stringify(name)}`)
      return unpack(bytes, entry, `${file.name}, member ${JSON.stringify(name)}`)
    },
  }
}

function unpack(bytes: Uint8Array, entry: ZipEntry, where: string): Uint8Array<ArrayBuffer> {
  if (entry.size > MOST_IN_MEMORY)
    throw new FormatError(where, `claims ${entry.size} bytes; at most ${MOST_IN_MEMORY} are unpacked in memory`)
  const packed = bytes.subarray(entry.start, entry.start + entry.packed)
  const out = expand(packed, entry, where)
  if (out.byteLength !== entry.size)
    throw new FormatError(where, `has ${out.byteLength} bytes, the directory says ${entry.size}`)
  if (crc32(out) !== entry.crc) throw new FormatError(where, 'its CRC-32 is wrong: the archive is damaged')
  return out
}

function expand(packed: Uint8Array, entry: ZipEntry, where: string): Uint8Array<ArrayBuffer> {
  if (entry.method === 0) return new Uint8Array(packed)
  if (entry.method !== 8)
    throw new UnsupportedError(where, `is packed by method ${entry.method}; only stored and deflated members are read`)
  if (entry.size > entry.packed * BEST_RATIO + 1024)
    throw new FormatError(where, `claims ${entry.size} bytes, which ${entry.packed} packed bytes cannot hold`)
  try {
    // A bomb stops at the size that the directory states. A zero limit is none at all to zlib.
    return new Uint8Array(inflateRawSync(packed, { maxOutputLength: Math.max(1, entry.size) }))
  } catch (cause) {
    throw new FormatError(where, `cannot be unpacked into its ${entry.size} bytes (${(cause as Error).message})`, {
      cause,
    })
  }
}
