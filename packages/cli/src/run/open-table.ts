import { readFile } from 'node:fs/promises'
import {
  concat,
  type Dataset,
  encoderWidth,
  fitEncoder,
  parseEncoder,
  parseSchema,
  readCsv,
  type Table,
  type TableEncoder,
  type TableSchema,
  type TrainTest,
  tableDataset,
  takeRows,
  withoutColumns,
} from '@imago/data'
import { ArgumentError, NotFoundError, permutation, rng } from '@imago/tensor'
import type { DataOptions } from '../options.js'
import { openTransfer } from './open-transfer.js'

/** A table as a data set, and what makes inputs of its rows. */
export interface TableData extends TrainTest {
  readonly schema: TableSchema
  readonly encoder: TableEncoder
  /** What was found, one sentence. */
  readonly note: string
}

/** True for `a.csv`, `a.csv.gz` and two of them with a comma between. */
export function isTable(data: string): boolean {
  return data.split(',').every((path) => /\.csv(\.gz)?$/i.test(path.trim()))
}

/**
 * The table that `--data TRAIN.csv[,TEST.csv]` names. One file: a sixth of its rows, always the same, is for the test. `--label` names the
 * column to be predicted; without it (or where the file does not have it) rows are unlabelled. The encoder is learnt from the training rows, unless
 * one is given.
 */
export async function openTable(
  options: DataOptions,
  places: Parameters<typeof openTransfer>[1] = {},
): Promise<TableData> {
  const [file, testFile, ...more] = options.data.split(',').map((path) => path.trim())
  if (more.length > 0)
    throw new ArgumentError('imago', '--data', 'one .csv, or two as TRAIN.csv,TEST.csv', options.data)
  const whole = await readTable(file!, options)
  const { schema } = whole
  const label = labelOf(schema, options)
  const [train, test] = testFile ? [whole, await readTable(testFile, options, schema)] : parted(whole)
  const given = options.encoder === undefined ? undefined : parseEncoder(await text(options.encoder), options.encoder)
  const encoder = given ?? fitEncoder(train, label === undefined ? {} : { label })
  const rows = tableDataset(train, encoder)
  const transfer =
    options.transfer === undefined
      ? undefined
      : await (isTable(options.transfer)
          ? transferRows(options.transfer, options, schema, encoder)
          : openTransfer(options.transfer, places))
  const classes = encoder.label ? `; classes ${encoder.label.values.join(', ')}` : '; no label'
  return {
    train: transfer ? concat(rows, transfer) : rows,
    test: tableDataset(test, encoder),
    schema,
    encoder,
    note: `${options.data}: ${encoder.columns.length} columns become ${encoderWidth(encoder)} inputs${classes}${transfer ? `; ${transfer.length} unlabelled rows join the training rows` : ''}`,
  }
}

/** A CSV file by the options: a schema that is given, that of another file, or what is found in this one. */
export async function readTable(file: string, options: DataOptions, known?: TableSchema): Promise<Table> {
  const schema =
    known ?? (options.schema === undefined ? undefined : parseSchema(await text(options.schema), options.schema))
  const { label, ignore } = options
  if (schema)
    return readCsv(file, { schema, ...(ignore && { ignore }), ...(label !== undefined && { optional: [label] }) })
  const nominal = [...new Set([...(options.nominal ?? []), ...(label === undefined ? [] : [label])])]
  try {
    return await readCsv(file, { nominal, ...(ignore && { ignore }) })
  } catch (error) {
    const lost = error instanceof ArgumentError && error.argument === 'nominal' && error.got === JSON.stringify(label)
    if (!lost) throw error
    throw new NotFoundError(`${file} has no column ${error.got} to be predicted`, `It must have ${error.expected}`)
  }
}

/** The label, where the table has it. @throws ArgumentError where it is not nominal */
function labelOf(schema: TableSchema, { label }: DataOptions): string | undefined {
  return schema.columns.some(({ name }) => name === label) ? label : undefined
}

async function transferRows(
  file: string,
  options: DataOptions,
  schema: TableSchema,
  encoder: TableEncoder,
): Promise<Dataset> {
  const found = await readTable(file, options, schema)
  const label = labelOf(found.schema, options)
  return tableDataset(label === undefined ? found : withoutColumns(found, [label]), encoder)
}

function parted(whole: Table): [Table, Table] {
  const held = Math.round(whole.length / 6)
  if (held === 0) throw new ArgumentError('imago', '--data', 'a table with at least three rows', `${whole.length}`)
  const order = permutation(rng(1).split('split'), whole.length)
  return [takeRows(whole, order.slice(held).sort()), takeRows(whole, order.slice(0, held).sort())]
}

const text = (path: string): Promise<string> => readFile(path, 'utf8')
