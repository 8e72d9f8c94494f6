import { FormatError } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { csvRecords, longestCell } from '../../src/csv/csv-records.js'

function records(pieces: readonly string[], delimiter = ','): string[][] {
  const reader = csvRecords('f.csv', delimiter)
  return [...pieces.flatMap((piece) => reader.push(piece)), ...reader.end()].map(({ cells }) => [...cells])
}

/** Cut a text at the given places. */
function cut(text: string, at: readonly number[]): string[] {
  const places = [0, ...at.map((x) => x % (text.length + 1)).sort((a, b) => a - b), text.length]
  return places.slice(1).map((to, i) => text.slice(places[i], to))
}

const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`
const cell = fc.string({ unit: fc.constantFrom('a', 'é', '"', ',', '\n', '\r', ' ', '1', ';', '😀'), maxLength: 6 })
const rows = fc
  .integer({ min: 1, max: 5 })
  .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 6 }))

describe('csvRecords', () => {
  test('what is written with quotes is read back, wherever the text is cut, whatever ends the lines', () => {
    fc.assert(
      fc.property(
        rows,
        fc.array(fc.nat(), { maxLength: 6 }),
        fc.infiniteStream(fc.constantFrom('\n', '\r\n')),
        (table, at, ends) => {
          const text = table.map((row) => row.map(quote).join(',') + ends.next().value).join('')
          expect(records(cut(text, at))).toEqual(table)
          expect(records(cut(text.replace(/\r?\n$/, ''), at))).toEqual(table)
        },
      ),
    )
  })

  test('cells without quotes lose the white space around them; empty lines at the end are no rows', () => {
    expect(records(['a , b\r\n1,  2 \n\n\r\n\n'])).toEqual([
      ['a', 'b'],
      ['1', '2'],
    ])
    expect(records(['a;b\n"1" ; "x y"'], ';')).toEqual([
      ['a', 'b'],
      ['1', 'x y'],
    ])
    expect(records(['a\n\n""\n'])).toEqual([['a'], [''], ['']])
    expect(records(['a,\n,b'])).toEqual([
      ['a', ''],
      ['', 'b'],
    ])
  })

  test.each([
    ['a,b\n1,"2', 'f.csv:2:3', /not closed/],
    ['a,b\n1,"2"x', 'f.csv:2:6', /behind the closing quote/],
    ['a,b\n1,2"3"', 'f.csv:2:4', /quote inside a cell/],
    ['a,b\n1,\u00002', 'f.csv:2:3', /NUL/],
    ['a,b\r1,2', 'f.csv:1:4', /carriage return/],
    ['a,b\n1,2\r', 'f.csv:2:4', /carriage return/],
    [`a\n\n"${'x'.repeat(longestCell)}${'\nx'.repeat(9)}`, 'f.csv:3:1', /quote that opens here is not closed/],
    [`a\n${'x'.repeat(longestCell + 1)}`, 'f.csv:2:1', /more than 1048576 characters/],
    [','.repeat(1e6), 'f.csv:1:65537', /more than 65536 columns/],
    ['a\n'.padEnd(100_000, '\n'), 'f.csv:65538:1', /empty lines/],
  ])('case %#: refused with its place, however it is cut', (text, where, problem) => {
    for (const size of [text.length, 1, 3]) {
      if (text.length / size > 2e5) continue
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
        text.slice(i * size, (i + 1) * size),
      )
      let caught: unknown
      try {
        records(pieces)
      } catch (error) {
        caught = error
      }
      expect(caught).toBeInstanceOf(FormatError)
      expect((caught as FormatError).where).toBe(where)
      expect((caught as FormatError).message).toMatch(problem)
    }
  })
})
