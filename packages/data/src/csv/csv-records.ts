import { FormatError } from '@imago/tensor'

/** One record of a CSV text. */
export interface CsvRecord {
  /** The line on which it begins, counted from 1. */
  readonly line: number
  readonly cells: readonly string[]
  /** The column at which each cell begins, counted from 1. */
  readonly at: readonly number[]
}

export interface CsvRecords {
  /** A line before the first that was pushed; it counts for the places in errors. */
  skipLine(): void
  /** Take the next piece of the text; the records that end in it. */
  push(text: string): CsvRecord[]
  /** The text has ended; the record that ends with it, if there is one. */
  end(): CsvRecord[]
}

/** A longer cell is a quote that was never closed; more columns are no table; nor are more empty lines. */
export const longestCell: number = 2 ** 20
export const mostColumns: number = 2 ** 16
const mostEmptyLines = 2 ** 16

/** Where the reader stands: at the beginning of a cell; behind a quote inside quotes (the first of two, or the last); behind a CR. */
const State = { begins: 0, plain: 1, quoted: 2, closed: 3, returned: 4 } as const

/**
 * Splits CSV text (RFC 4180), piece by piece, in constant memory: cells in quotes may hold delimiters, lines and doubled quotes;
 * lines end in LF or CRLF, both in one file too. White space around cells without quotes is cut off. Empty lines at
 * the end are no records.
 *
 * @throws FormatError (from `push` and `end`) as `NAME:LINE:COLUMN`
 */
export function csvRecords(name: string, delimiter: string = ','): CsvRecords {
  const comma = delimiter.charCodeAt(0)
  let state: number = State.begins
  let line = 1
  /** Index of the line's first character in the piece at hand; below 0 where the line began earlier. */
  let lineStart = 0
  let cells: string[] = []
  let at: number[] = []
  let recordLine = 1
  let cell = ''
  let cellLine = 1
  let cellColumn = 1
  let wasQuoted = false
  let quotedRecord = false
  let emptyLines: CsvRecord[] = []

  const fail = (i: number, problem: string): never => {
    throw new FormatError(`${name}:${line}:${i - lineStart + 1}`, problem)
  }
  const endCell = (): void => {
    cells.push(wasQuoted ? cell : cell.trim())
    at.push(cellColumn)
    if (cells.length > mostColumns)
      throw new FormatError(`${name}:${line}:${cellColumn}`, `more than ${mostColumns} columns`)
    quotedRecord ||= wasQuoted
    cell = ''
    wasQuoted = false
    state = State.begins
  }
  const endRecord = (found: CsvRecord[]): void => {
    const record = { line: recordLine, cells, at }
    // Whether an empty line is a record is known when another one follows.
    if (cells.length === 1 && cells[0] === '' && !quotedRecord) emptyLines.push(record)
    else {
      found.push(...emptyLines, record)
      emptyLines = []
    }
    quotedRecord = false
    if (emptyLines.length > mostEmptyLines)
      throw new FormatError(`${name}:${line}:1`, `more than ${mostEmptyLines} empty lines one after another`)
    cells = []
    at = []
  }
  const grow = (text: string, i: number): void => {
    cell += text
    if (cell.length > longestCell)
      throw new FormatError(
        `${name}:${cellLine}:${cellColumn}`,
        `a cell of more than ${longestCell} characters${wasQuoted ? ': the quote that opens here is not closed' : ` (line ${line}, column ${i - lineStart + 1})`}`,
      )
  }

  const push = (text: string): CsvRecord[] => {
    const found: CsvRecord[] = []
    /** Where the stretch of the cell begins that is not taken over yet. */
    let from = 0
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code === 0) fail(i, 'a NUL byte: this is no text')
      if (state === State.quoted) {
        if (code === 0x22) {
          grow(text.slice(from, i), i)
          state = State.closed
        } else if (code === 0x0a) {
          line++
          lineStart = i + 1
        }
        continue
      }
      if (state === State.returned && code !== 0x0a) fail(i - 1, 'a carriage return without a line feed')
      if (code === comma || code === 0x0a) {
        if (state === State.plain) grow(text.slice(from, i), i)
        if (state === State.begins) begin(i)
        endCell()
        if (code === 0x0a) {
          endRecord(found)
          line++
          lineStart = i + 1
        }
      } else if (code === 0x0d) {
        if (state === State.plain) grow(text.slice(from, i), i)
        if (state === State.begins) begin(i)
        state = State.returned
      } else if (state === State.closed) {
        if (code === 0x22) {
          cell += '"'
          state = State.quoted
          from = i + 1
        } else if (code !== 0x20 && code !== 0x09) fail(i, 'a character behind the closing quote of a cell')
      } else if (code === 0x22) {
        if (state === State.plain) fail(i, 'a quote inside a cell that does not begin with one')
        begin(i)
        wasQuoted = true
        state = State.quoted
        from = i + 1
      } else if (state === State.begins && code !== 0x20 && code !== 0x09) {
        begin(i)
        state = State.plain
        from = i
      }
    }
    if (state === State.plain || state === State.quoted) grow(text.slice(from), text.length)
    lineStart -= text.length
    return found
  }

  function begin(i: number): void {
    if (cells.length === 0) recordLine = line
    cellLine = line
    cellColumn = i - lineStart + 1
  }

  const end = (): CsvRecord[] => {
    const found: CsvRecord[] = []
    if (state === State.quoted)
      throw new FormatError(`${name}:${cellLine}:${cellColumn}`, 'the quote that opens here is not closed')
    if (state === State.returned) fail(-1, 'a carriage return without a line feed')
    if (state !== State.begins || cells.length > 0) {
      if (state === State.begins) begin(0)
      endCell()
      endRecord(found)
    }
    return found
  }
  const skipLine = (): void => {
    line++
  }
  return { skipLine, push, end }
}
