import { FormatError, UnsupportedError } from '@imago/tensor'

/** A member as the central directory describes it. */
export interface ZipEntry {
  readonly method: number
  readonly crc: number
  /** Packed bytes and where they begin. */
  readonly packed: number
  readonly start: number
  /** Bytes when unpacked. */
  readonly size: number
}

const END = 0x06054b50
const END64 = 0x06064b50
const LOCATOR64 = 0x07064b50
const CENTRAL = 0x02014b50
const LOCAL = 0x04034b50

/** More members than any .npz has: a directory built to keep us busy is refused. */
const MOST = 65_536

/**
 * The central directory of a zip archive (APPNOTE 6.3.10 §4.3.12, zip64 §4.5.3), which alone is believed; every offset in it is held
 * against the file. A name that comes twice is refused: readers disagree on which one counts.
 */
export function zipEntries(bytes: Uint8Array, name: string): Map<string, ZipEntry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const { count, offset, size, before } = directory(view, name)
  if (count > MOST) throw new FormatError(name, `has ${count} members, more than the ${MOST} that are taken`)
  if (offset + size > before) throw new FormatError(`${name}, byte ${offset}`, 'its directory lies outside the file')
  const entries = new Map<string, ZipEntry>()
  let at = offset
  for (let i = 0; i < count; i++) {
    if (at + 46 > before || view.getUint32(at, true) !== CENTRAL)
      throw new FormatError(`${name}, byte ${at}`, `member ${i} of the zip directory is missing`)
    const lengths = [28, 30, 32].map((field) => view.getUint16(at + field, true)) as [number, number, number]
    const next = at + 46 + lengths[0] + lengths[1] + lengths[2]
    if (next > before) throw new FormatError(`${name}, byte ${at}`, 'the zip directory ends early')
    const title = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + lengths[0]))
    if (entries.has(title)) throw new FormatError(`${name}, byte ${at}`, `has two members ${JSON.stringify(title)}`)
    entries.set(title, entry(view, at, lengths, offset, name))
    at = next
  }
  return entries
}

function directory(view: DataView, name: string): { count: number; offset: number; size: number; before: number } {
  const end = findEnd(view, name)
  const count = view.getUint16(end + 10, true)
  const size = view.getUint32(end + 12, true)
  const offset = view.getUint32(end + 16, true)
  if (view.getUint16(end + 4, true) !== 0) throw new UnsupportedError(name, 'is one of several volumes')
  if (count !== 0xffff && size !== 0xffffffff && offset !== 0xffffffff) return { count, offset, size, before: end }
  const locator = end - 20
  if (locator < 0 || view.getUint32(locator, true) !== LOCATOR64) return { count, offset, size, before: end }
  const wide = safe(view, locator + 8, name)
  if (wide + 56 > locator || view.getUint32(wide, true) !== END64)
    throw new FormatError(`${name}, byte ${locator}`, 'its zip64 directory is not where it should be')
  return {
    count: safe(view, wide + 32, name),
    size: safe(view, wide + 40, name),
    offset: safe(view, wide + 48, name),
    before: wide,
  }
}

/** The end record is the last 22 bytes, or further up where a comment of up to 65,535 bytes follows. */
function findEnd(view: DataView, name: string): number {
  const last = view.byteLength - 22
  for (let at = last; at >= Math.max(0, last - 0xffff); at--)
    if (view.getUint32(at, true) === END && at + 22 + view.getUint16(at + 20, true) === view.byteLength) return at
  throw new FormatError(`${name}, byte ${view.byteLength}`, 'is no zip archive, or ends early')
}

function entry(
  view: DataView,
  at: number,
  lengths: readonly [number, number, number],
  directoryAt: number,
  name: string,
): ZipEntry {
  if (view.getUint16(at + 8, true) & 1) throw new UnsupportedError(`${name}, byte ${at}`, 'a member is encrypted')
  const short = {
    size: view.getUint32(at + 24, true),
    packed: view.getUint32(at + 20, true),
    at: view.getUint32(at + 42, true),
  }
  const { size, packed, at: local } = widened(view, at + 46 + lengths[0], lengths[1], short, name)
  if (local + 30 > directoryAt || view.getUint32(local, true) !== LOCAL)
    throw new FormatError(`${name}, byte ${at}`, `points to a member at byte ${local}, where none begins`)
  const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true)
  if (start + packed > directoryAt)
    throw new FormatError(`${name}, byte ${at}`, `a member of ${packed} bytes runs over`)
  return { method: view.getUint16(at + 10, true), crc: view.getUint32(at + 16, true), packed, start, size }
}

/** Sizes of 2³² − 1 stand in the zip64 extra field, in this order, each only where its short form is full. */
function widened(
  view: DataView,
  from: number,
  length: number,
  short: { readonly size: number; readonly packed: number; readonly at: number },
  name: string,
): { size: number; packed: number; at: number } {
  const wide = { ...short }
  for (let at = from; at + 4 <= from + length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue
    let field = at + 4
    for (const key of ['size', 'packed', 'at'] as const)
      if (short[key] === 0xffffffff && field + 8 <= from + length) {
        wide[key] = safe(view, field, name)
        field += 8
      }
  }
  return wide
}

function safe(view: DataView, at: number, name: string): number {
  const value = Number(view.getBigUint64(at, true))
  if (value > view.byteLength * 2 ** 20) throw new FormatError(`${name}, byte ${at}`, `${value} is beyond the file`)
  return value
}
