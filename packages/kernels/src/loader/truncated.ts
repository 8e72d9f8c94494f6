import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/**
 * What is missing of an ELF file (Linux), or null where nothing is or the file is of another kind. The system's loader maps the
 * pages that the header promises and does not look whether the file has them: touching one of them ends the process (SIGBUS).
 */
export function truncated(path: string): string | null {
  const file = openSync(path, 'r')
  try {
    const size = fstatSync(file).size
    const header = Buffer.alloc(64)
    const read = readSync(file, header, 0, 64, 0)
    if (header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1) return null
    const needed = read < 64 ? 64 : Math.max(endOfSegments(file, header), endOfSections(header))
    return needed > size ? `is truncated: ${size} of at least ${needed} bytes are there` : null
  } finally {
    closeSync(file)
  }
}

/** Where the last program segment ends, in bytes. */
function endOfSegments(file: number, header: Buffer): number {
  const offset = Number(header.readBigUInt64LE(32))
  const [entry, count] = [header.readUInt16LE(54), header.readUInt16LE(56)]
  const table = Buffer.alloc(entry * count)
  if (entry < 56 || readSync(file, table, 0, table.length, offset) < table.length) return offset + table.length
  let end = 0
  for (let at = 0; at < table.length; at += entry)
    end = Math.max(end, Number(table.readBigUInt64LE(at + 8)) + Number(table.readBigUInt64LE(at + 32)))
  return end
}

/** Where the table of sections ends, which stands last in most files. */
function endOfSections(header: Buffer): number {
  const offset = Number(header.readBigUInt64LE(40))
  return offset + header.readUInt16LE(58) * header.readUInt16LE(60)
}
