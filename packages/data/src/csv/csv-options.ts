import { ArgumentError } from '@imago/tensor'
import type { TableSchema } from '../table/schema.js'

export interface CsvOptions {
  /**
   * True: the first line names the columns (the default). A list: there is no such line, and these are the names.
   */
  readonly header?: boolean | readonly string[] | undefined
  /** What stands between cells; one ASCII character, a comma unless given. */
  readonly delimiter?: string | undefined
  /** Lines before the header (or the first row) that are no data. */
  readonly skipLines?: number | undefined
  /**
   * What the columns hold. Columns are met by name, in whatever order the file has them. Left out, the schema is inferred: a column all of
   * whose known cells are numbers is continuous, one without numbers nominal; one that has both is refused.
   */
  readonly schema?: TableSchema | undefined
  /** Columns that are nominal though they hold numbers (codes), or numbers and words. Inference only. */
  readonly nominal?: readonly string[] | undefined
  /** Columns of the file that are left out. */
  readonly ignore?: readonly string[] | undefined
  /** Columns of `schema` that the file need not have (its label): the table is without those that it has not. */
  readonly optional?: readonly string[] | undefined
  /** Texts that stand for a value that is not known; `''` and `?` unless given. Inference only: a schema has its own. */
  readonly missing?: readonly string[] | undefined
  /** A nominal value that `schema` does not have: refused (the default), or taken for missing. */
  readonly unseen?: 'refuse' | 'missing' | undefined
  /** Changes the text of a cell before anything is made of it. */
  readonly cell?: ((text: string, column: string) => string) | undefined
}

/** @throws ArgumentError for options that are none, or that contradict each other */
export function checkCsvOptions(options: CsvOptions): void {
  const { header = true, delimiter = ',', skipLines = 0, schema, nominal, missing, unseen = 'refuse' } = options
  const refuse = (argument: string, expected: string, got: unknown): never => {
    throw new ArgumentError('readCsv', argument, expected, got)
  }
  if (typeof delimiter !== 'string' || !/^[\t !#-~]$/.test(delimiter))
    refuse('delimiter', 'one printable ASCII character that is no quote, or a tab', delimiter)
  if (!(Number.isSafeInteger(skipLines) && skipLines >= 0)) refuse('skipLines', 'a whole number ≥ 0', skipLines)
  if (header !== true && !(Array.isArray(header) && header.length > 0))
    refuse('header', 'true, or a list of the names of the columns', header)
  if (unseen !== 'refuse' && unseen !== 'missing') refuse('unseen', 'refuse or missing', unseen)
  if (schema === undefined) return
  if (nominal !== undefined) refuse('nominal', 'left out where a schema is given', nominal)
  if (missing !== undefined) refuse('missing', 'left out where a schema is given', missing)
}
