import { join } from 'node:path'
import {
  type Cells,
  type Column,
  type CsvOptions,
  readCsv,
  selectColumns,
  type Table,
  table,
  takeRows,
} from '@imago/data'
import { NotFoundError, permutation, rng } from '@imago/tensor'

/** The four of the paper's eight problems (table 1) whose data is free. */
export const problemNames = ['adult', 'covtype', 'letter.p1', 'letter.p2'] as const
export type ProblemName = (typeof problemNames)[number]

/** A binary problem: rows to learn from, rows to choose by, rows to count on. Column `positive` is the class. */
export interface Problem {
  readonly name: ProblemName
  readonly train: Table
  readonly holdOut: Table
  readonly test: Table
}

export interface ProblemSizes {
  readonly train: number
  readonly holdOut: number
  /** At most so many of the rows that are left. */
  readonly test: number
}

export const positive = 'positive'

const adultColumns = [
  'age',
  'workclass',
  'fnlwgt',
  'education',
  'education-num',
  'marital-status',
  'occupation',
  'relationship',
  'race',
  'sex',
  'capital-gain',
  'capital-loss',
  'hours-per-week',
  'native-country',
  'income',
]

const letterColumns = ['letter', ...Array.from({ length: 16 }, (_, i) => `x${i + 1}`)]

/**
 * Read a problem from the folders adult, covertype and letter of `dataDir`, or of its folder data. Which rows are for what is drawn once, the same for
 * every run; ADULT keeps its own test file.
 *
 * @throws NotFoundError where the files are not there, FormatError
 */
export async function readProblem(name: ProblemName, dataDir: string, sizes: ProblemSizes): Promise<Problem> {
  const read = (folder: string, file: string, options: CsvOptions): Promise<Table> =>
    readFrom(dataDir, folder, file, options)
  if (name === 'adult') {
    const train = await read('adult', 'adult.data.gz', { header: adultColumns })
    const test = await read('adult', 'adult.test.gz', {
      header: adultColumns,
      skipLines: 1,
      schema: train.schema,
      // The labels of this file end with a full stop.
      cell: (text, column) => (column === 'income' ? text.replace(/\.$/, '') : text),
    })
    const is = (value: string): boolean => value === '>50K'
    return parts(name, binary(train, 'income', is), sizes, binary(test, 'income', is))
  }
  if (name === 'covtype') {
    const whole = await read('covertype', 'covertype-92962.csv.gz', {
      nominal: ['Wilderness_Area', 'Soil_Type', 'Cover_Type'],
    })
    return parts(
      name,
      binary(whole, 'Cover_Type', (value) => value === '2'),
      sizes,
    )
  }
  const whole = await read('letter', 'letter-recognition.csv.gz', { header: letterColumns })
  const is = name === 'letter.p1' ? (value: string) => value === 'O' : (value: string) => value <= 'M'
  return parts(name, binary(whole, 'letter', is), sizes)
}

async function readFrom(dataDir: string, folder: string, file: string, options: CsvOptions): Promise<Table> {
  for (const place of [join(dataDir, folder), join(dataDir, 'data', folder)])
    try {
      return await readCsv(join(place, file), options)
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error
    }
  throw new NotFoundError(
    `There is no ${folder}/${file} in ${dataDir}`,
    'It is a file of the UCI Machine Learning Repository, packed with gzip; it is looked for there and in the folder data',
  )
}

/** The label column replaced by `positive`: no or yes. */
function binary(source: Table, label: string, is: (value: string) => boolean): Table {
  const at = source.schema.columns.findIndex((column) => column.name === label)
  const { values } = source.schema.columns[at] as Extract<Column, { kind: 'nominal' }>
  const classes = values.map((value) => (is(value) ? 1 : 0))
  const cells = Int32Array.from(source.columns[at] as Int32Array, (code) => classes[code]!)
  const others = source.schema.columns.filter((column) => column.name !== label).map((column) => column.name)
  const features = selectColumns(source, others)
  const columns: Column[] = [...features.schema.columns, { name: positive, kind: 'nominal', values: ['no', 'yes'] }]
  return table({ ...source.schema, columns }, [...features.columns, cells as Cells])
}

function parts(name: ProblemName, whole: Table, sizes: ProblemSizes, test?: Table): Problem {
  const order = permutation(rng(2006).split(name), whole.length)
  const known = sizes.train + sizes.holdOut
  const rest = test ? takeRows(test, permutation(rng(2006).split(`${name} test`), test.length)) : undefined
  return {
    name,
    train: takeRows(whole, order.slice(0, sizes.train)),
    holdOut: takeRows(whole, order.slice(sizes.train, known)),
    test: rest
      ? takeRows(rest, range(0, Math.min(rest.length, sizes.test)))
      : takeRows(whole, order.slice(known, known + sizes.test)),
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}
