import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { FormatError, ImagoError } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CsvOptions, formatSchema, parseSchema, readCsv, type Table, table, writeCsv } from '../../src/index.js'

const folder = mkdtempSync(join(tmpdir(), 'imago-csv-'))
let files = 0

async function read(text: string | Uint8Array, options: CsvOptions = {}): Promise<Table> {
  return readCsv(typeof text === 'string' ? new TextEncoder().encode(text) : text, options)
}

async function refused(text: string | Uint8Array, options: CsvOptions = {}): Promise<string> {
  try {
    await read(text, options)
  } catch (error) {
    expect(error).toBeInstanceOf(ImagoError)
    return (error as Error).message
  }
  throw new Error('was accepted')
}

const people = 'age,job,city\n39, nurse,Ulm\n?,cook,"Bad Ems, Lahn"\n1.5e1,,Ulm\n'

describe('readCsv', () => {
  test('infers continuous and nominal columns, missing values among both', async () => {
    const { schema, length, columns } = await read(people)
    expect(length).toBe(3)
    expect(schema).toEqual({
      columns: [
        { name: 'age', kind: 'continuous' },
        { name: 'job', kind: 'nominal', values: ['cook', 'nurse'] },
        { name: 'city', kind: 'nominal', values: ['Bad Ems, Lahn', 'Ulm'] },
      ],
      missing: ['', '?'],
    })
    expect(columns.map((cells) => [...cells])).toEqual([
      [39, Number.NaN, 15],
      [1, 0, -1],
      [1, 0, 1],
    ])
  })

  test('byte order mark, CRLF among LF, gzip: the same table', async () => {
    const plain = await read(people)
    expect(await read(`\ufeff${people.replace('Ulm\n', 'Ulm\r\n')}`)).toEqual(plain)
    expect(await read(gzipSync(people))).toEqual(plain)
    const path = join(folder, 'people.csv.gz')
    writeFileSync(path, gzipSync(people))
    expect(await readCsv(path)).toEqual(plain)
  })

  test('a schema finds its columns by name; other values are refused, or taken for missing', async () => {
    const { schema } = await read(people)
    const saved = parseSchema(formatSchema(schema), 'schema.json')
    expect(saved).toEqual(schema)
    const turned = await read('city,age,job\nUlm,1,cook\n', { schema: saved })
    expect(turned.schema).toEqual(schema)
    expect(turned.columns.map((cells) => [...cells])).toEqual([[1], [0], [1]])
    const dentist = 'age,job,city\n1,dentist,Ulm\n'
    expect(await refused(dentist, { schema })).toMatch(/^bytes:2:3: "dentist" in column "job" is none of the 2 values/)
    expect((await read(dentist, { schema, unseen: 'missing' })).columns[1]).toEqual(Int32Array.of(-1))
    expect(await refused('age,job\n1,cook\n', { schema })).toMatch(/no column "city"/)
    expect((await read('age,job\n1,cook\n', { schema, optional: ['city'] })).schema.columns).toHaveLength(2)
    expect(await refused('age,job,city,x\n1,cook,Ulm,2\n', { schema })).toMatch(/"x", is not in the schema/)
    expect((await read('age,job,city,x\n1,cook,Ulm,2\n', { schema, ignore: ['x'] })).length).toBe(1)
    expect(await refused('age,job,city\none,cook,Ulm\n', { schema })).toMatch(/bytes:2:1: "one" .*is no number/)
  })

  test('codes are nominal where they are declared so, in their order as numbers', async () => {
    const { schema } = await read('soil\n10\n9\n100\n', { nominal: ['soil'] })
    expect(schema.columns).toEqual([{ name: 'soil', kind: 'nominal', values: ['9', '10', '100'] }])
  })

  test('names in a list, lines left out, cells changed on the way', async () => {
    const found = await read('|junk "\n1,<=50K.\n2,>50K.\n', {
      header: ['x', 'income'],
      skipLines: 1,
      cell: (text, column) => (column === 'income' ? text.slice(0, -1) : text),
    })
    expect(found.schema.columns[1]).toEqual({ name: 'income', kind: 'nominal', values: ['<=50K', '>50K'] })
    expect(await refused('|junk\n1,a\n2\n', { header: ['x', 'y'], skipLines: 1 })).toMatch(/^bytes:3:1: 1 cell/)
  })

  test.each([
    ['a,b\n1,2\n3\n', /^bytes:3:1: 1 cell in this row, 2 in the header/],
    ['a,b\n1,2,3\n', /^bytes:2:5: 3 cells/],
    ['a,b\n1,2\n\n3,4\n', /^bytes:3:1: 1 cell/],
    ['a\n1\n1e999\n', /^bytes:3:1: "1e999" is beyond what a float64 holds/],
    ['a\n1\n0x1F\n', /^bytes:3:1: "0x1F" in column "a", which has a number on line 2/],
    ['a\n1\n"1,5"\n', /^bytes:3:1: "1,5" in column "a"/],
    ['a,b\n1,5\n1,5,2\n', /^bytes:3:5: 3 cells/],
    ['a\nx\n1\n', /^bytes:3:1: "1" in column "a", which has a word on line 2/],
    ['a\n1\nNaN\n', /^bytes:3:1: "NaN"/],
    ['a,b\n', /has a header and no rows/],
    ['', /is empty/],
    ['a,a\n1,2\n', /two columns are called "a"/],
    ['a\n?\n', /nothing is known in column "a"/],
    [Uint8Array.of(0xff, 0xfe, 0x61, 0), /UTF-16/],
    [Uint8Array.of(0x61, 0x0a, 0xc3, 0x28), /not UTF-8/],
    [gzipSync(people).subarray(0, 40), /is no sound gzip file/],
    [Buffer.concat([gzipSync(people), Buffer.from('junk')]), /is no sound gzip file|data after the end/],
  ])('case %#: refused', async (text, message) => {
    expect(await refused(text as string | Uint8Array)).toMatch(message)
  })

  test('more words than categories have', async () => {
    const text = `id\n${Array.from({ length: 65_537 }, (_, i) => `n${i}`).join('\n')}\n`
    expect(await refused(text)).toMatch(/^bytes:65538:1: more than 65536 different words in column "id"/)
  })

  test.each([
    [{ delimiter: '"' }, /delimiter/],
    [{ skipLines: -1 }, /skipLines/],
    [{ header: [] }, /header/],
    [{ nominal: ['b'] }, /nominal/],
    [{ unseen: 'zero' as 'missing' }, /unseen/],
  ])('options %j are refused', async (options, message) => {
    expect(await refused('a\n1\n', options)).toMatch(message)
  })
})

test('a quote that is never closed is told after a megabyte of what would be a hundred', () => {
  const packed = gzipSync(Buffer.concat([Buffer.from('a,b\n1,"'), Buffer.alloc(1e8, 'x')]), { level: 1 })
  return expect(readCsv(packed)).rejects.toThrow(/^bytes:2:3: a cell of more than 1048576 characters/)
})

describe('parseSchema', () => {
  test.each([
    ['{', /is not JSON/],
    ['[]', /is no table schema/],
    ['{"imago":"table schema","version":2}', /version: must be 1/],
    ['{"imago":"table schema","version":1,"columns":[]}', /columns: must be a list/],
    ['{"imago":"table schema","version":1,"columns":[{"name":"a","kind":"word"}]}', /columns\[0\]\.kind/],
    ['{"imago":"table schema","version":1,"columns":[{"name":"a","kind":"nominal","values":["x","x"]}]}', /different/],
    ['{"imago":"table schema","version":1,"columns":[{"name":"a","kind":"nominal"}]}', /columns\[0\]\.values/],
  ])('%s is refused', (text, message) => {
    expect(() => parseSchema(text, 'schema.json')).toThrow(message)
    expect(() => parseSchema(text, 'schema.json')).toThrow(FormatError)
  })
})

describe('writeCsv', () => {
  const word = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 8 })
    .filter(
      (text) => !/\0|^\?$/.test(text) && !/[\ud800-\udfff]/.test(text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '')),
    )
  const tables = fc
    .record({
      values: fc.uniqueArray(word, { minLength: 1, maxLength: 4 }),
      rows: fc.array(fc.tuple(fc.option(fc.double({ noDefaultInfinity: true, noNaN: true })), fc.nat(), fc.boolean()), {
        minLength: 1,
        maxLength: 8,
      }),
      name: word,
    })
    .map(({ values, rows, name }) =>
      table(
        {
          columns: [
            { name: 'x', kind: 'continuous' },
            { name: `n${name}`, kind: 'nominal', values },
          ],
          missing: ['', '?'],
        },
        [
          // −0 is written as 0.
          Float64Array.from(rows, ([x]) => (x === null ? Number.NaN : x + 0)),
          Int32Array.from(rows, ([, code, known]) => (known ? code % values.length : -1)),
        ],
      ),
    )

  test('what is written is read back as it was, to the last bit', async () => {
    await fc.assert(
      fc.asyncProperty(tables, async (one) => {
        const path = join(folder, `${files++}.csv`)
        expect(await writeCsv(path, one.schema, [one, one])).toBe(2 * one.length)
        const back = await readCsv(path, { schema: one.schema })
        expect(back.columns.map((cells) => [...cells])).toEqual(one.columns.map((cells) => [...cells, ...cells]))
      }),
      { numRuns: 60 },
    )
  })

  test('one column with missing values keeps its rows', async () => {
    const one = table({ columns: [{ name: 'x', kind: 'continuous' }], missing: [''] }, [
      Float64Array.of(1, Number.NaN, 2, Number.NaN),
    ])
    const path = join(folder, 'one.csv')
    await writeCsv(path, one.schema, [one])
    expect(await readCsv(path, { schema: one.schema })).toEqual(one)
  })

  test('what fails half way leaves the old file, and nothing beside it', async () => {
    const own = mkdtempSync(join(folder, 'fails-'))
    const path = join(own, 'x.csv')
    const one = await read('x\n1\n')
    await writeCsv(path, one.schema, [one])
    function* broken(): Generator<Table> {
      yield one
      throw new Error('no more')
    }
    await expect(writeCsv(path, one.schema, broken())).rejects.toThrow('no more')
    expect(readFileSync(path, 'utf8')).toBe('x\n1\n')
    expect(readdirSync(own)).toEqual(['x.csv'])
  })
})
