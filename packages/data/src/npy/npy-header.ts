import { type DataType, elementCount, FormatError, UnsupportedError } from '@imago/tensor'

export interface NpyHeader {
  readonly type: Exclude<DataType, 'string'>
  /** Bytes of one element. */
  readonly width: number
  readonly order: 'BE' | 'LE'
  readonly fortran: boolean
  readonly dims: readonly number[]
  /** Bytes before the first element. */
  readonly start: number
  /** Bytes of the whole file. */
  readonly total: number
}

const types: { readonly [descr: string]: readonly [type: NpyHeader['type'], width: number] } = {
  f2: ['float16', 2],
  f4: ['float32', 4],
  f8: ['float64', 8],
  i1: ['int8', 1],
  i2: ['int16', 2],
  i4: ['int32', 4],
  i8: ['int64', 8],
  u1: ['uint8', 1],
  u2: ['uint16', 2],
  u4: ['uint32', 4],
  u8: ['uint64', 8],
  b1: ['bool', 1],
}

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]

/** NumPy writes headers of about a hundred bytes; structured types, which are refused here, are what makes them long. */
const LONGEST = 65_536

/**
 * The header of a .npy file, versions 1 to 3 (numpy/lib/format.py). The dict in it is matched as text of the one form that NumPy
 * writes and never evaluated. Undefined while `head` is too short to tell.
 *
 * @throws FormatError with the offset, UnsupportedError for pickled objects and other types that are no numbers
 */
export function npyHeader(head: Uint8Array, name: string): NpyHeader | undefined {
  for (let i = 0; i < MAGIC.length && i < head.byteLength; i++)
    if (head[i] !== MAGIC[i]) throw new FormatError(`${name}, byte ${i}`, 'is no .npy file')
  if (head.byteLength < 12) return undefined
  const view = new DataView(head.buffer, head.byteOffset)
  const version = head[6]!
  if (version < 1 || version > 3) throw new FormatError(`${name}, byte 6`, `.npy version ${version} is not known`)
  const from = version === 1 ? 10 : 12
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (length > LONGEST)
    throw new FormatError(`${name}, byte 8`, `its header claims ${length} bytes, more than the ${LONGEST} taken`)
  const start = from + length
  if (head.byteLength < start) return undefined
  return { ...parse(new TextDecoder('latin1').decode(head.subarray(from, start)), start, `${name}, byte ${from}`) }
}

function parse(text: string, start: number, where: string): NpyHeader {
  const body = /^\{(.*)\}\s*$/s.exec(text)?.[1]
  const fields = body === undefined ? undefined : entries(body)
  const { descr, fortran_order: fortran, shape } = fields ?? {}
  if (descr === undefined || fortran === undefined || shape === undefined)
    throw new FormatError(where, "its header is not a dict of 'descr', 'fortran_order' and 'shape'")
  const [, sign, code] = /^'([<>=|])([a-zA-Z]\d*)'$/.exec(descr) ?? []
  if (code?.startsWith('O'))
    throw new UnsupportedError(where, 'holds pickled Python objects, which are never loaded; save it as numbers')
  const known = code === undefined ? undefined : types[code]
  if (known === undefined)
    throw new UnsupportedError(where, `type ${descr.slice(0, 60)} is not taken; save it as numbers`)
  const dims = shapeOf(shape, where)
  const [type, width] = known
  const total = start + elementCount(dims) * width
  if (!Number.isSafeInteger(total)) throw new FormatError(where, `shape ${shape} is more than any file holds`)
  return { type, width, order: sign === '>' ? 'BE' : 'LE', fortran: fortran === 'True', dims, start, total }
}

/** The three entries in any order; anything left over means that this is not what NumPy writes. */
function entries(body: string): { [key: string]: string } | undefined {
  const found: { [key: string]: string } = Object.create(null)
  const entry =
    /\s*'(descr|fortran_order|shape)'\s*:\s*('[^'\\]*'|\[.*?\](?=\s*,\s*'|\s*$)|True|False|\([\d,\sL]*\))\s*(?:,|$)/sy
  let end = 0
  for (let match = entry.exec(body); match !== null; match = entry.exec(body)) {
    if (found[match[1]!] !== undefined) return undefined
    found[match[1]!] = match[2]!
    end = entry.lastIndex
    if (end >= body.length) break
  }
  return body.slice(end).trim() === '' ? found : undefined
}

function shapeOf(shape: string, where: string): number[] {
  const inner = /^\((.*)\)$/s.exec(shape)?.[1]
  const parts = inner?.split(',').map((part) => part.trim().replace(/L$/, ''))
  // One element is written `(3,)`: the last comma is no dim.
  if (parts !== undefined && parts.at(-1) === '') parts.pop()
  if (parts === undefined || !parts.every((part) => /^\d{1,16}$/.test(part)))
    throw new FormatError(where, `shape ${shape.slice(0, 60)} is not a tuple of whole numbers`)
  return parts.map(Number)
}
