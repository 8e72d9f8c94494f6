import type { Kept } from '../ir.js'
import { field } from './message.js'

const nothing = new Uint8Array(0)

/** Texts that the file spells out although they are empty: the IR cannot tell them from absent ones, so they are kept. */
export function keepEmpty(
  kept: Uint8Array[],
  ...texts: readonly (readonly [number: number, text: string | undefined])[]
): void {
  for (const [number, text] of texts) if (text === '') kept.push(field(number, nothing))
}

/** The `kept` of an IR object: absent where there is nothing. */
export function keptOf(fields: readonly Uint8Array[]): { readonly kept?: Kept } {
  return fields.length === 0 ? {} : { kept: { fields } }
}

/** What the writer takes of an object's `kept`. */
export function fieldsOf(object: { readonly kept?: Kept }): { kept?: Uint8Array[] } {
  return object.kept === undefined ? {} : { kept: [...object.kept.fields] }
}

/** A text as the writer takes it: left out where empty. */
export function unlessEmpty<K extends string>(key: K, text: string): { [key in K]?: string } {
  return text === '' ? {} : ({ [key]: text } as { [key in K]?: string })
}
