import { createHash } from 'node:crypto'
import { ArgumentError, FormatError, ImagoError, StateError, UnsupportedError } from '@imago/tensor'
import { type Encoding, type EncodingOptions, encodingFor, payloadBytes } from './encoding.js'
import { fingerprintBytes, type InputSignature, type StoreFormat } from './fingerprint.js'

/** The version of the format that this imago writes, the newest that it reads. Stores of an older one are read, and finished in it. */
export const formatVersion = 2

/** What makes a store this one: targets of another teacher, of other preprocessing, or kept otherwise are those of another store. */
export interface StoreIdentity {
  readonly classes: number
  /** Rows of the finished store. */
  readonly rows: number
  readonly encoding: Encoding
  /** What tells the teacher from any other: the SHA-256 of its file. */
  readonly teacher: string
  /** What tells the way that data take into the teacher from any other: the SHA-256 of its input map. */
  readonly preprocessing: string
  /** The inputs by which samples are known again. */
  readonly inputs: readonly InputSignature[]
  /** Rows of every shard but the last. */
  readonly shardRows: number
}

/** A shard that is whole and on disk. */
export interface ShardEntry {
  readonly rows: number
  readonly bytes: number
  /** SHA-256 of the shard's head and table, which has the CRC-32 of each block. */
  readonly digest: string
}

export interface Manifest {
  readonly format: StoreFormat
  readonly identity: StoreIdentity
  readonly shards: readonly ShardEntry[]
  readonly complete: boolean
}

/** Records of a store follow from its identity. */
export interface Layout {
  readonly format: StoreFormat
  /** Bytes of a fingerprint. */
  readonly markBytes: number
  /** Bytes of a row: its fingerprint, then its targets. */
  readonly rowBytes: number
  /** Rows that share a checksum: about 4 KiB. */
  readonly blockRows: number
  /** Tells shards of this store from those of others, 16 bytes. */
  readonly key: Uint8Array
}

export const manifestName = 'store.json'

export function shardName(index: number): string {
  return `shard-${String(index).padStart(6, '0')}.bin`
}

export function layoutOf(identity: StoreIdentity, format: StoreFormat): Layout {
  const markBytes = fingerprintBytes(format)
  const rowBytes = markBytes + payloadBytes(identity.encoding, identity.classes)
  const key = createHash('sha256').update(JSON.stringify(identity)).digest().subarray(0, 16)
  return { format, markBytes, rowBytes, blockRows: Math.max(1, Math.floor(4096 / rowBytes)), key }
}

/** Rows of shard `index` once the store is whole. */
export function shardLength({ rows, shardRows }: StoreIdentity, index: number): number {
  return Math.min(shardRows, rows - index * shardRows)
}

/** The manifest as text: the same for the same store, its own SHA-256 in the last line but one. */
export function encodeManifest({ format, identity, shards, complete }: Manifest): string {
  const body = {
    imagoStore: format,
    identity,
    shards: shards.map((shard, i) => ({ file: shardName(i), ...shard })),
    complete,
  }
  const digest = createHash('sha256').update(JSON.stringify(body)).digest('hex')
  return `${JSON.stringify({ ...body, digest }, null, 1)}\n`
}

/**
 * The manifest that a text is, if it is one to the last byte.
 *
 * @throws UnsupportedError for a newer format, FormatError for everything that an imago does not write
 */
export function decodeManifest(text: string, where: string): Manifest {
  const found = parsed(text, where)
  const version = found.imagoStore
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1)
    throw new FormatError(where, 'is not the manifest of a store of soft targets')
  if (version > formatVersion)
    throw new UnsupportedError(
      where,
      `it is of format ${version}, this imago reads formats up to ${formatVersion}; use a newer imago, or fill the store again`,
    )
  const manifest = {
    format: version as StoreFormat,
    identity: identityOf(found.identity, where),
    shards: shardsOf(found.shards, where),
    complete: found.complete === true,
  }
  checkShards(manifest, where)
  if (encodeManifest(manifest) !== text)
    throw new FormatError(
      where,
      'is damaged (its checksum, or a byte that an imago does not write); fill the store again',
    )
  return manifest
}

type Loose = { readonly [name: string]: unknown }

function parsed(text: string, where: string): Loose {
  try {
    const value = JSON.parse(text) as unknown
    if (isObject(value)) return value
  } catch (cause) {
    throw new FormatError(where, `is damaged: it is not JSON (${(cause as Error).message})`, { cause })
  }
  throw new FormatError(where, 'is not the manifest of a store of soft targets')
}

function identityOf(value: unknown, where: string): StoreIdentity {
  if (!isObject(value)) throw field(where, 'identity')
  const { classes, rows, teacher, preprocessing, inputs, shardRows, encoding } = value
  for (const [name, number] of Object.entries({ classes, rows, shardRows }))
    if (!isWhole(number, 1)) throw field(where, `identity.${name}`)
  for (const [name, text] of Object.entries({ teacher, preprocessing }))
    if (typeof text !== 'string') throw field(where, `identity.${name}`)
  const isInput = (input: unknown): boolean =>
    isObject(input) &&
    typeof input.name === 'string' &&
    typeof input.type === 'string' &&
    Array.isArray(input.dims) &&
    input.dims.every((dim) => isWhole(dim, 0))
  if (!Array.isArray(inputs) || inputs.length === 0 || !inputs.every(isInput)) throw field(where, 'identity.inputs')
  if (!isObject(encoding)) throw field(where, 'identity.encoding')
  return {
    classes: classes as number,
    rows: rows as number,
    encoding: checkedEncoding(encoding, classes as number, where),
    teacher: teacher as string,
    preprocessing: preprocessing as string,
    inputs: inputs.map(({ name, type, dims }) => ({ name, type, dims })),
    shardRows: shardRows as number,
  }
}

function checkedEncoding(encoding: Loose, classes: number, where: string): Encoding {
  try {
    return encodingFor(where, encoding as unknown as EncodingOptions, classes)
  } catch (error) {
    if (!(error instanceof ImagoError)) throw error
    throw new FormatError(where, `its encoding is none: ${error.message}`, { cause: error })
  }
}

function shardsOf(value: unknown, where: string): ShardEntry[] {
  if (!Array.isArray(value)) throw field(where, 'shards')
  return value.map((shard: unknown, i) => {
    if (!isObject(shard)) throw field(where, `shards[${i}]`)
    const { file, rows, bytes, digest } = shard
    if (file !== shardName(i))
      throw new FormatError(where, `shard ${i} is ${JSON.stringify(file)} and must be ${shardName(i)}`)
    if (!isWhole(rows, 1) || !isWhole(bytes, 1) || typeof digest !== 'string') throw field(where, `shards[${i}]`)
    return { rows: rows as number, bytes: bytes as number, digest }
  })
}

/** Shards follow on each other without a gap and do not go beyond the rows; a complete store has them all. */
function checkShards({ identity, shards, complete }: Manifest, where: string): void {
  const most = Math.ceil(identity.rows / identity.shardRows)
  if (shards.length > most)
    throw new FormatError(where, `lists ${shards.length} shards where ${identity.rows} rows make ${most}`)
  for (const [i, { rows }] of shards.entries())
    if (rows !== shardLength(identity, i))
      throw new FormatError(
        where,
        `${shardName(i)} is listed with ${rows} rows and must have ${shardLength(identity, i)}`,
      )
  if (complete && shards.length !== most)
    throw new FormatError(where, `is complete with ${shards.length} shards, where ${identity.rows} rows make ${most}`)
}

function field(where: string, name: string): FormatError {
  return new FormatError(where, `is damaged: ${name} is not what a store's manifest has there`)
}

function isObject(value: unknown): value is Loose {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isWhole(value: unknown, least: number): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least
}

/** Refuse a store that is not the one that is wanted. @throws StateError naming every difference */
export function checkIdentity(
  where: string,
  there: StoreIdentity,
  wanted: { readonly [K in keyof StoreIdentity]?: StoreIdentity[K] | undefined },
  remedy: string,
): void {
  const names = Object.keys(wanted) as (keyof StoreIdentity)[]
  const differ = names.filter(
    (name) => wanted[name] !== undefined && JSON.stringify(there[name]) !== JSON.stringify(wanted[name]),
  )
  if (differ.length === 0) return
  const reasons = differ.map(
    (name) => `${spoken[name]}: ${JSON.stringify(there[name])} there, ${JSON.stringify(wanted[name])} here`,
  )
  throw new StateError(`${where} holds other targets (${reasons.join('; ')})`, remedy)
}

const spoken: { readonly [K in keyof StoreIdentity]: string } = {
  classes: 'classes',
  rows: 'rows',
  encoding: 'what is kept of a row',
  teacher: 'the teacher',
  preprocessing: "the teacher's input map",
  inputs: 'the inputs',
  shardRows: 'rows of a shard',
}

/** A name by which a teacher or its preprocessing is told from others. */
export function checkName(caller: string, argument: string, value: string): void {
  if (typeof value !== 'string' || value.length === 0 || value.length > 1000)
    throw new ArgumentError(caller, argument, 'a text that tells it from others, such as a SHA-256', value)
}
