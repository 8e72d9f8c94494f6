import { FormatError } from '@imago/tensor'
import { gunzip, isGzip } from '../io/gunzip.js'
import { readAll, withSource } from '../io/open-source.js'

/**
 * Rows of a small CSV file without quotes, plain or gzipped, under exactly this header.
 *
 * @throws FormatError naming the line, NotFoundError
 */
export async function smallTable(path: string, header: readonly string[]): Promise<string[][]> {
  const bytes = await withSource(path, readAll)
  const text = new TextDecoder().decode(isGzip(bytes) ? await unpacked(bytes, path) : bytes)
  const [head = '', ...lines] = text.split(/\r?\n/).filter((line) => line !== '')
  if (head !== header.join()) throw new FormatError(`${path}, line 1`, `must be "${header.join()}"`)
  return lines.map((line, i) => {
    const cells = line.split(',')
    if (cells.length !== header.length)
      throw new FormatError(`${path}, line ${i + 2}`, `has ${cells.length} fields for ${header.length} columns`)
    return cells
  })
}

/** The length that gzip keeps in its last four bytes says how much to allocate. */
async function unpacked(bytes: Uint8Array, path: string): Promise<Uint8Array> {
  if (bytes.length < 18) throw new FormatError(path, 'is no sound gzip file (it is cut short)')
  const size = new DataView(bytes.buffer, bytes.byteOffset + bytes.byteLength - 4).getUint32(0, true)
  return gunzip(bytes, path, () => size)
}
