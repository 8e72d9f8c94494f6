import { ArgumentError, describe, FormatError } from '@imago/tensor'

/** A column of numbers. */
export interface ContinuousColumn {
  readonly name: string
  readonly kind: 'continuous'
}

/** A column of words; a cell is held as its place among `values`. */
export interface NominalColumn {
  readonly name: string
  readonly kind: 'nominal'
  readonly values: readonly string[]
}

export type Column = ContinuousColumn | NominalColumn

/** What the columns of a table hold, and which texts stand for a value that is not known. Plain data, safe in JSON. */
export interface TableSchema {
  readonly columns: readonly Column[]
  readonly missing: readonly string[]
}

/** What stands for a missing value where nothing else is said: an empty cell, and the question mark of the UCI repository. */
export const usualMissing: readonly string[] = ['', '?']

/** The schema as the text of a file. */
export function formatSchema(schema: TableSchema): string {
  return `${JSON.stringify({ imago: 'table schema', version: 1, ...checkSchema('formatSchema', schema) }, null, 2)}\n`
}

/**
 * The schema that a file's text describes.
 * @throws FormatError naming the file and the field
 */
export function parseSchema(text: string, name: string): TableSchema {
  const value = parseJson(text, name, 'table schema')
  try {
    return checkSchema(name, { columns: value.columns, missing: value.missing ?? usualMissing } as TableSchema)
  } catch (cause) {
    throw cause instanceof ArgumentError
      ? new FormatError(`${name}: ${cause.argument}`, `must be ${cause.expected}, got ${cause.got}`, { cause })
      : cause
  }
}

/** A JSON object that says it is a `kind` of version 1. */
export function parseJson(text: string, name: string, kind: string): { readonly [key: string]: unknown } {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new FormatError(name, `is not JSON (${(cause as Error).message})`, { cause })
  }
  const object = value as { imago?: unknown; version?: unknown }
  if (typeof value !== 'object' || value === null || object.imago !== kind)
    throw new FormatError(name, `is no ${kind}: it must be a JSON object with "imago": "${kind}"`)
  if (object.version !== 1)
    throw new FormatError(`${name}: version`, `must be 1, got ${describe(object.version)}; a newer imago wrote it`)
  return value as { readonly [key: string]: unknown }
}

/** @throws ArgumentError for columns without a name or kind, names or values that come twice */
export function checkSchema(caller: string, schema: TableSchema): TableSchema {
  const { columns, missing } = schema
  if (!Array.isArray(columns) || columns.length === 0)
    throw new ArgumentError(caller, 'columns', 'a list with at least one column', columns)
  checkTexts(caller, 'missing', missing)
  const names = new Set<string>()
  const checked = columns.map((column: Column, i): Column => {
    const where = `columns[${i}]`
    if (typeof column?.name !== 'string') throw new ArgumentError(caller, `${where}.name`, 'a text', column?.name)
    const { name, kind } = column
    if (names.has(name)) throw new ArgumentError(caller, `${where}.name`, 'a name that no other column has', name)
    names.add(name)
    if (kind === 'continuous') return { name, kind }
    if (kind !== 'nominal') throw new ArgumentError(caller, `${where}.kind`, 'continuous or nominal', kind)
    checkTexts(caller, `${where}.values`, column.values)
    return { name, kind, values: [...column.values] }
  })
  return { columns: checked, missing: [...missing] }
}

function checkTexts(caller: string, argument: string, list: unknown): void {
  if (!Array.isArray(list) || !list.every((one) => typeof one === 'string'))
    throw new ArgumentError(caller, argument, 'a list of texts', list)
  const seen = new Set<string>()
  for (const one of list as string[]) {
    if (seen.has(one)) throw new ArgumentError(caller, argument, 'different texts', `${one} twice`)
    seen.add(one)
  }
}
