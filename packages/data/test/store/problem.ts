import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fromPredict, type Predict, rng, type Targets, type Tensor, tensor } from '@imago/tensor'
import { type Dataset, dataset, type EncodingOptions, fillStore, subset } from '../../src/index.js'

export const classes = 20

/** Rows of five numbers. */
export function rows(count: number, seed = 1): Dataset {
  const random = rng(seed)
  const data = Float32Array.from({ length: count * 5 }, () => random.normal())
  return dataset({ inputs: { input: tensor('float32', [count, 5], data) } })
}

/** Some rows of a larger set, whose ids are not consecutive. */
export function some(count: number): Dataset {
  return subset(
    rows(4 * count),
    Uint32Array.from({ length: count }, (_, i) => (i * 7) % (4 * count)),
  )
}

/** A teacher that any machine computes alike: sums of products, each rounded to float32. */
export const teacher: Predict = async ({ input }) => {
  const x = input!.data as Float32Array
  const count = x.length / 5
  const logits = new Float32Array(count * classes)
  for (let r = 0; r < count; r++)
    for (let c = 0; c < classes; c++)
      for (let i = 0; i < 5; i++)
        logits[r * classes + c]! += Math.fround(x[r * 5 + i]! * Math.fround(Math.sin(3 * i + c)))
  return { logits: tensor('float32', [count, classes], logits) }
}

export const targets: Targets = fromPredict(teacher)

export const encodings: { readonly [name: string]: EncodingOptions } = {
  float32: { kind: 'full', type: 'float32' },
  float16: { kind: 'full' },
  bfloat16: { kind: 'full', type: 'bfloat16' },
  'top-k': { kind: 'top-k', k: 4, temperatures: [1, 4] },
  compact: { kind: 'compact', k: 4, temperatures: [2] },
}

export type Fill = Omit<Parameters<typeof fillStore>[0], 'targets' | 'encoding' | 'teacher'> &
  Partial<Parameters<typeof fillStore>[0]>

/** Fill a store; the rows of each report. */
export async function fill(options: Fill): Promise<number[]> {
  const seen: number[] = []
  const all = { targets, teacher: 'teacher 1', encoding: encodings.float16!, batch: 8, ...options }
  for await (const { rows } of fillStore(all)) seen.push(rows)
  return seen
}

/** SHA-256 of each file of a folder by name, hidden ones too. */
export async function contents(folder: string): Promise<{ [name: string]: string }> {
  const names = (await readdir(folder)).sort()
  const digest = async (name: string): Promise<string> =>
    createHash('sha256')
      .update(await readFile(join(folder, name)))
      .digest('hex')
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await digest(name)] as const)))
}

/** All rows of a data set as a batch. */
export function allOf(data: Dataset): ReturnType<Dataset['rows']> {
  return data.rows(Uint32Array.from({ length: data.length }, (_, i) => i))
}

/** What the teacher says of a data set's rows, straight. */
export async function straight(data: Dataset): Promise<Tensor<'float32'>> {
  return (await teacher(allOf(data).inputs)).logits as Tensor<'float32'>
}
