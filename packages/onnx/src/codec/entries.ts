import { FormatError } from '@imago/tensor'
import { field, keptPayloads, readMessage, schema, writeMessage } from './message.js'
import { entryTable, opsetTable } from './tables.js'
import { join, type Pieces, type Source } from './wire.js'

const entrySchema = schema(entryTable)
const opsetSchema = schema(opsetTable)

// Lists of small messages that the IR holds as maps. A message that is spelled otherwise than `write…` would (an empty domain
// left out) is kept as the file has it and written again as long as it still says the same.

/** The standard domain has two names. */
export function plainDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain
}

export function readOpsets(
  messages: readonly Uint8Array[] | undefined,
  number: number,
  source: Source,
  kept: Uint8Array[],
): Map<string, number> {
  const opsets = new Map<string, number>()
  for (const bytes of messages ?? []) {
    const [domain, version] = readOpset(bytes, source)
    const known = opsets.get(domain)
    if (known !== undefined && known !== version)
      throw new FormatError(source.name, `imports domain "${domain}" in versions ${known} and ${version}`)
    opsets.set(domain, version)
    if (!equalBytes(bytes, join(writeOpset(domain, version)))) kept.push(field(number, bytes))
  }
  return opsets
}

function readOpset(bytes: Uint8Array, source: Source): [string, number] {
  const { domain = '', version = 0n } = readMessage(opsetSchema, bytes, source, 2)
  return [plainDomain(domain), Number(version)]
}

function writeOpset(domain: string, version: number): Pieces {
  return writeMessage(opsetSchema, { domain, version: BigInt(version) })
}

export function writeOpsets(
  opsets: ReadonlyMap<string, number>,
  number: number,
  kept: readonly Uint8Array[] | undefined,
): (Pieces | Uint8Array)[] {
  const spelled = keptPayloads(kept, number)
  return [...opsets].map(([domain, version]) => {
    const same = spelled.find((bytes) => {
      const [keptDomain, keptVersion] = readOpset(bytes, { name: 'kept opset', base: 0 })
      return keptDomain === domain && keptVersion === version
    })
    return same ?? writeOpset(domain, version)
  })
}

export function readMetadata(messages: readonly Uint8Array[] | undefined, source: Source): Map<string, string> {
  return new Map(readEntries(messages, source))
}

export function readEntries(messages: readonly Uint8Array[] | undefined, source: Source): [string, string][] {
  return (messages ?? []).map((bytes) => {
    const { key = '', value = '' } = readMessage(entrySchema, bytes, source, 3)
    return [key, value]
  })
}

export function writeEntries(entries: Iterable<readonly [string, string]>): Pieces[] {
  return Array.from(entries, ([key, value]) => writeMessage(entrySchema, { key, value }))
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
