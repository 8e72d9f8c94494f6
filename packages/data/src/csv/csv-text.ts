import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { FormatError } from '@imago/tensor'
import { isGzip } from '../io/gunzip.js'
import { MOST_IN_MEMORY, type OpenSource } from '../io/open-source.js'

const piece = 1 << 18

/**
 * The text of a file, piece by piece: UTF-8, with or without a byte order mark, packed with gzip or not.
 * @throws FormatError for other encodings and damaged gzip files
 */
export async function* csvText(file: OpenSource): AsyncGenerator<string> {
  const head = await file.read(0, 4)
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff))
    throw new FormatError(file.name, 'is UTF-16; save it as UTF-8')
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const decode = (bytes: Uint8Array | undefined, done: number): string => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true })
    } catch (cause) {
      const from = Math.max(0, done - (bytes?.byteLength ?? 0))
      throw new FormatError(`${file.name}, bytes ${from} to ${done}`, 'is not UTF-8; save it as UTF-8', { cause })
    }
  }
  let done = 0
  for await (const bytes of isGzip(head) ? unpacked(file) : pieces(file)) {
    done += bytes.byteLength
    if (done > MOST_IN_MEMORY) throw new FormatError(file.name, `holds more than ${MOST_IN_MEMORY} bytes of text`)
    yield decode(bytes, done)
  }
  yield decode(undefined, done)
}

async function* pieces(file: OpenSource): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.size; at += piece) yield file.read(at, piece)
}

async function* unpacked(file: OpenSource): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: piece })
  // What goes wrong on the way in comes out of the loop below, too.
  const fed = pipeline(Readable.from(pieces(file)), gunzip).catch(() => undefined)
  try {
    for await (const chunk of gunzip as AsyncIterable<Uint8Array>) yield chunk
    await fed
  } catch (cause) {
    if (cause instanceof FormatError) throw cause
    throw new FormatError(file.name, `is no sound gzip file (${(cause as Error).message})`, { cause })
  } finally {
    gunzip.destroy()
  }
  if (gunzip.bytesWritten < file.size)
    throw new FormatError(`${file.name}, byte ${gunzip.bytesWritten}`, 'data after the end of the gzip stream')
}
