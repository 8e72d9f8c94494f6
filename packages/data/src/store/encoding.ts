import { checkTemperature } from '@imago/kernels'
import { ArgumentError, UnsupportedError } from '@imago/tensor'
import { eliasFanoBits } from './elias-fano.js'

/** The types in which logits are kept: exact, or rounded to nearest with ties to even. */
export type LogitType = 'float32' | 'float16' | 'bfloat16'

/** Every logit. */
export interface FullEncoding {
  readonly kind: 'full'
  readonly type: LogitType
  /** Where the logits mean something at some temperatures only (an arithmetic mean of teachers): those. Left out: any will do. */
  readonly temperatures?: readonly number[]
}

/** The k largest logits with their classes, and ln of what all others weigh at each of some temperatures. */
export interface TopKEncoding {
  readonly kind: 'top-k'
  readonly k: number
  readonly values: LogitType
  readonly temperatures: readonly number[]
}

/** The same with logits as steps below the largest, `bits` wide, and tails in float16. */
export interface CompactEncoding {
  readonly kind: 'compact'
  readonly k: number
  readonly bits: number
  readonly temperatures: readonly number[]
}

/** How a store keeps a row, everything said. */
export type Encoding = FullEncoding | TopKEncoding | CompactEncoding

/** What may be left out: float16 for what is kept exactly, 8 bits for compact (6 where a row would not fit 300 bytes at k = 128). */
export type EncodingOptions =
  | { readonly kind: 'full'; readonly type?: LogitType; readonly temperatures?: readonly number[] }
  | {
      readonly kind: 'top-k'
      readonly k: number
      readonly values?: LogitType
      readonly temperatures: readonly number[]
    }
  | { readonly kind: 'compact'; readonly k: number; readonly bits?: number; readonly temperatures: readonly number[] }

export const logitBytes: { readonly [type in LogitType]: number } = { float32: 4, float16: 2, bfloat16: 2 }

/** The kernel that selects classes keeps so many at most. */
const mostK = 1024

/**
 * An encoding for teachers of C classes, checked and with its defaults.
 *
 * @throws ArgumentError for a k that is none of the classes, types, bits and temperatures that are none
 */
export function encodingFor(caller: string, options: EncodingOptions, classes: number): Encoding {
  if (!(Number.isSafeInteger(classes) && classes >= 1 && classes <= 0x7fffffff))
    throw new ArgumentError(caller, 'classes', 'a whole number ≥ 1', classes)
  const temperatures = options.temperatures === undefined ? undefined : sorted(caller, options.temperatures)
  switch (options.kind) {
    case 'full': {
      const type = typeOf(caller, 'encoding.type', options.type)
      return temperatures === undefined ? { kind: 'full', type } : { kind: 'full', type, temperatures }
    }
    case 'top-k': {
      const k = kOf(caller, options.k, classes)
      const values = typeOf(caller, 'encoding.values', options.values)
      return { kind: 'top-k', k, values, temperatures: needed(caller, temperatures) }
    }
    case 'compact': {
      const k = kOf(caller, options.k, classes)
      const bits = options.bits ?? usualBits(k, classes)
      if (!(Number.isInteger(bits) && bits >= 2 && bits <= 16))
        throw new ArgumentError(caller, 'encoding.bits', 'a whole number in [2, 16]', bits)
      return { kind: 'compact', k, bits, temperatures: needed(caller, temperatures) }
    }
    default:
      throw new ArgumentError(caller, 'encoding.kind', 'full, top-k or compact', (options as { kind: unknown }).kind)
  }
}

/** Bytes of a row's targets. */
export function payloadBytes(encoding: Encoding, classes: number): number {
  if (encoding.kind === 'full') return classes * logitBytes[encoding.type]
  const { k, temperatures } = encoding
  const indices = eliasFanoBits(k, classes)
  if (encoding.kind === 'top-k')
    return k * logitBytes[encoding.values] + Math.ceil(indices / 8) + 8 * temperatures.length
  return Math.ceil((indices + k * encoding.bits) / 8) + 2 + 2 * temperatures.length
}

/**
 * Refuse a temperature for which a store has no targets.
 *
 * @throws UnsupportedError saying what the store has and what to do
 */
export function checkServes(where: string, encoding: Encoding, temperature: number): void {
  checkTemperature('fromStore', temperature)
  const { temperatures } = encoding
  if (temperatures === undefined || temperatures.includes(temperature)) return
  const what =
    encoding.kind === 'full'
      ? 'its logits are a mean of distributions'
      : `it keeps ${encoding.k} classes a row and the weight of all others`
  throw new UnsupportedError(
    `${where} at T = ${temperature}`,
    `${what} at T = ${temperatures.join(', ')} only, from which no other temperature can be told; take one of these, or fill a store again with this temperature, or with full logits, which serve every temperature`,
  )
}

function usualBits(k: number, classes: number): number {
  for (const bits of [8, 7]) {
    const row = payloadBytes({ kind: 'compact', k, bits, temperatures: [1] }, classes)
    if (row <= (290 * k) / 128) return bits
  }
  return 6
}

function typeOf(caller: string, argument: string, type: LogitType = 'float16'): LogitType {
  if (!Object.hasOwn(logitBytes, type)) throw new ArgumentError(caller, argument, 'float32, float16 or bfloat16', type)
  return type
}

function kOf(caller: string, k: number, classes: number): number {
  const most = Math.min(mostK, classes)
  if (!(Number.isInteger(k) && k >= 1 && k <= most))
    throw new ArgumentError(caller, 'encoding.k', `a whole number in [1, ${most}] (of ${classes} classes)`, k)
  return k
}

function sorted(caller: string, temperatures: readonly number[]): number[] {
  if (!Array.isArray(temperatures) || temperatures.length === 0 || temperatures.length > 64)
    throw new ArgumentError(caller, 'encoding.temperatures', '1 … 64 numbers', temperatures)
  for (const temperature of temperatures) checkTemperature(caller, temperature)
  return [...new Set(temperatures)].sort((a, b) => a - b)
}

function needed(caller: string, temperatures: readonly number[] | undefined): readonly number[] {
  if (temperatures !== undefined) return temperatures
  throw new ArgumentError(
    caller,
    'encoding.temperatures',
    'the temperatures that students will be taught at',
    undefined,
  )
}
