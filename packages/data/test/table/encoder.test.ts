import { rng } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  encodeLabels,
  encodeRecords,
  encoderWidth,
  encodeTable,
  fitEncoder,
  formatEncoder,
  inputNames,
  parseEncoder,
  readCsv,
  subset,
  type Table,
  table,
  tableDataset,
  takeRows,
} from '../../src/index.js'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const people = (): Promise<Table> => readCsv(bytes('age,job,pay\n20,nurse,low\n40,cook,high\n?,cook,low\n60,,high\n'))

describe('fitEncoder', () => {
  test('standardised numbers, one input a value, one for missing', async () => {
    const source = await people()
    const encoder = fitEncoder(source, { label: 'pay' })
    expect(inputNames(encoder)).toEqual(['age', 'age missing', 'job=cook', 'job=nurse', 'job missing'])
    expect(encoderWidth(encoder)).toBe(5)
    const z = Math.fround(Math.sqrt(1.5))
    expect([...encodeTable(encoder, source).data]).toEqual([
      ...[-z, 0, 0, 1, 0],
      ...[0, 0, 1, 0, 0],
      ...[0, 1, 1, 0, 0],
      ...[z, 0, 0, 0, 1],
    ])
    expect(encodeLabels(encoder, source)).toEqual(Int32Array.of(1, 0, 1, 0))
    expect(encoder.label).toEqual({ name: 'pay', values: ['high', 'low'] })
  })

  test('columns have mean 0 and deviation 1, or least 0 and largest 1', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 2 }), (xs) => {
        fc.pre(new Set(xs).size > 1 && Math.max(...xs) - Math.min(...xs) > 1e-3)
        const source = table({ columns: [{ name: 'x', kind: 'continuous' }], missing: [] }, [Float64Array.from(xs)])
        const z = encodeTable(fitEncoder(source), source).data
        expect(z.reduce((a, b) => a + b, 0) / xs.length).toBeCloseTo(0, 3)
        expect(z.reduce((a, b) => a + b * b, 0) / xs.length).toBeCloseTo(1, 3)
        const unit = encodeTable(fitEncoder(source, { continuous: 'unit' }), source).data
        expect([Math.min(...unit), Math.max(...unit)]).toEqual([0, 1])
      }),
    )
  })

  test('a column that does not vary is finite', () => {
    const source = table({ columns: [{ name: 'x', kind: 'continuous' }], missing: [] }, [Float64Array.of(7, 7)])
    expect([...encodeTable(fitEncoder(source), source).data]).toEqual([0, 0])
  })

  test('the label must be a nominal column', async () => {
    const source = await people()
    expect(() => fitEncoder(source, { label: 'age' })).toThrow(/nominal/)
    expect(() => fitEncoder(source, { label: 'wage' })).toThrow(/no column "wage"/)
  })
})

describe('a saved encoder', () => {
  test('encodes tables and records alike', async () => {
    const source = await people()
    const encoder = parseEncoder(formatEncoder(fitEncoder(source, { label: 'pay' })), 'encoder.json')
    const records = [{ age: 20, job: 'nurse' }, { age: 40, job: 'cook' }, { job: 'cook', age: null }, { age: 60 }]
    expect(encodeRecords(encoder, records)).toEqual(encodeTable(encoder, source))
  })

  test('refuses what was never seen in training, or takes it for nothing known', async () => {
    const source = await people()
    const encoder = fitEncoder(source, { label: 'pay' })
    expect(() =>
      encodeRecords(encoder, [
        { age: 1, job: 'cook' },
        { age: 1, job: 'pilot' },
      ]),
    ).toThrow(/records\[1\]\.job" must be one of the 2 values seen in training \(cook, nurse\), got "pilot"/)
    const neutral = encodeRecords(encoder, [{ age: 40, job: 'pilot' }], { unseen: 'neutral' })
    expect([...neutral.data]).toEqual([0, 0, 0, 0, 0])
    expect(() => encodeRecords(encoder, [{ age: '1' }])).toThrow(/finite number/)
    const other = await readCsv(bytes('age,job\n1,pilot\n2,cook\n'))
    expect(() => encodeTable(encoder, other)).toThrow(/"job\[0\]" must be one of .* got "pilot"/)
    expect(() => tableDataset(other, encoder)).toThrow(/pilot/)
    const full = await readCsv(bytes('age,job\n1,nurse\n2,cook\n'))
    expect(() => encodeRecords(fitEncoder(full), [{ age: 1 }])).toThrow(/job" must be known/)
  })

  test.each([
    ['{"imago":"table schema","version":1}', /no table encoder/],
    ['{"imago":"table encoder","version":1,"columns":[{"name":"a"}]}', /columns\[0\]\.indicator/],
    [
      '{"imago":"table encoder","version":1,"columns":[{"name":"a","kind":"continuous","shift":0,"scale":0,"indicator":false}]}',
      /columns\[0\]\.scale/,
    ],
    ['{"imago":"table encoder","version":1,"columns":[null]}', /columns\[0\]\.name/],
  ])('%s is refused', (text, message) => {
    expect(() => parseEncoder(text, 'encoder.json')).toThrow(message)
  })
})

describe('tableDataset', () => {
  test('rows by index, labels, parts that keep their ids', async () => {
    const source = await people()
    const set = tableDataset(source, fitEncoder(source, { label: 'pay' }))
    expect(set).toMatchObject({ length: 4, classes: 2 })
    const whole = set.rows(Uint32Array.of(0, 1, 2, 3))
    const part = subset(set, [3, 1]).rows(Uint32Array.of(0, 1))
    expect(part.ids).toEqual(Uint32Array.of(3, 1))
    expect(part.labels).toEqual(Int32Array.of(0, 0))
    expect(part.inputs.input!.data).toEqual(
      Float32Array.of(
        ...(whole.inputs.input!.data as Float32Array).subarray(15, 20),
        ...(whole.inputs.input!.data as Float32Array).subarray(5, 10),
      ),
    )
  })

  test('a table without the label column is unlabelled', async () => {
    const source = await people()
    const encoder = fitEncoder(source, { label: 'pay' })
    const bare = await readCsv(bytes('age,job\n20,nurse\n?,\n'))
    const set = tableDataset(bare, encoder)
    expect(set.classes).toBeUndefined()
    expect(set.rows(Uint32Array.of(1)).labels).toBeUndefined()
    expect([...(set.rows(Uint32Array.of(1)).inputs.input!.data as Float32Array)]).toEqual([0, 1, 0, 0, 1])
  })

  test('encoding rows of a part of a table is the same as taking rows of the encoded table', async () => {
    const random = rng(3)
    const source = await people()
    const encoder = fitEncoder(source, { label: 'pay' })
    const order = Array.from({ length: 9 }, () => random.integer(4))
    const rows = Uint32Array.from(order)
    expect(tableDataset(source, encoder).rows(rows).inputs.input).toEqual(encodeTable(encoder, takeRows(source, order)))
  })
})
