/** A member as a test wants it described, true or not. */
export interface Member {
  readonly name: string
  readonly packed: Uint8Array
  readonly method: number
  readonly size: number
  readonly crc: number
}

/** A zip archive by APPNOTE §4.3.7, §4.3.12 and §4.3.16, without extra fields. */
export function encodeZip(members: readonly Member[]): Uint8Array {
  const parts: Uint8Array[] = []
  const directory: Uint8Array[] = []
  let offset = 0
  for (const member of members) {
    const name = new TextEncoder().encode(member.name)
    const common = [0, member.method, 0, 0, member.crc, member.packed.length, member.size, name.length, 0]
    const local = fields([0x04034b50, 20, ...common], [4, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2])
    directory.push(
      fields([0x02014b50, 20, 20, ...common, 0, 0, 0, 0, offset], [4, 2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4]),
      name,
    )
    parts.push(local, name, member.packed)
    offset += local.length + name.length + member.packed.length
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0)
  const end = fields([0x06054b50, 0, 0, members.length, members.length, size, offset, 0], [4, 2, 2, 2, 2, 4, 4, 2])
  return new Uint8Array(Buffer.concat([...parts, ...directory, end]))
}

function fields(values: readonly number[], widths: readonly number[]): Uint8Array {
  const out = Buffer.alloc(widths.reduce((sum, width) => sum + width, 0))
  let at = 0
  for (const [i, width] of widths.entries()) at = out.writeUIntLE(values[i]!, at, width)
  return out
}
