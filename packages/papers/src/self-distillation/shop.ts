import { type Batches, batches, type Dataset, jitterAugment, type TrainTest } from '@imago/data'
import { encode, type Model, mlp } from '@imago/onnx'
import { adamw, cosine, type Optimizer } from '@imago/optim'
import type { Student } from '@imago/runtime'
import { elementCount, type Predict, type Rng, rng, type TensorMap } from '@imago/tensor'
import { evaluate, type JsonObject } from '@imago/trainer'
import type { JobContext } from '../jobs/job.js'
import type { SelfDistillationSettings } from './options.js'

/** What every job of the recipe works with. */
export interface Shop {
  readonly data: TrainTest
  readonly settings: SelfDistillationSettings
  readonly threads?: number | undefined
}

/** What a job leaves behind: errors on test rows at the last epoch, of each net that it made. */
export interface SelfResult extends JsonObject {
  readonly nets: readonly { readonly errors: number; readonly rows: number; readonly crossEntropy: number }[]
}

/** The net of a seed before it learns; `peer` is another net of that seed, `hidden` the probability to drop a hidden unit. */
export function fresh({ data, settings }: Shop, seed: number, peer = 0, hidden = 0): Model {
  const inputs = elementCount(data.train.rows(Uint32Array.of(0)).inputs.input!.dims)
  return mlp([inputs, ...settings.hidden, data.train.classes!], {
    rng: randomOf(seed).split(`weights ${peer}`),
    ...(hidden > 0 && { dropout: { hidden } }),
  })
}

export function randomOf(seed: number): Rng {
  return rng(seed).split('self-distillation')
}

/** Rows a step. */
export const size = 50

/** Batches of the rows, in the order of this generator, moved anew in each epoch by so many pixels. */
export function rowsOf({ data }: Shop, random: Rng, rows: Dataset = data.train, jitter = 0): Batches {
  return batches(rows, { size, rng: random.split('batches'), ...(jitter > 0 && { augment: jitterAugment(jitter) }) })
}

export function optimizerOf({ settings }: Shop): Optimizer {
  return adamw({ rate: cosine({ peak: settings.rate }) })
}

export async function counted(
  { data }: Shop,
  predict: Predict,
  signal: AbortSignal | undefined,
): Promise<SelfResult['nets'][number]> {
  const test = batches(data.test, { size: 500, shuffle: false })
  const { errors, rows, crossEntropy } = await evaluate({ predict, data: test, ...(signal && { signal }) })
  return { errors, rows, crossEntropy }
}

export async function saved(
  student: Student,
  { folder }: JobContext,
  name: string,
  parameters: TensorMap = student.parameters,
): Promise<void> {
  await folder.write(name, encode(student.save(parameters)))
}

/** The same rows; all but the first `count` of each class in turn have lost their label. */
export function fewLabels(source: Dataset, count: number): Dataset {
  const classes = source.classes!
  const each = Math.ceil(count / classes)
  const { labels } = source.rows(Uint32Array.from({ length: source.length }, (_, i) => i))
  const kept = new Set<number>()
  const seen = new Array<number>(classes).fill(0)
  labels!.forEach((label, row) => {
    if (kept.size < count && label >= 0 && seen[label]! < each) {
      seen[label]!++
      kept.add(row)
    }
  })
  return {
    length: source.length,
    classes,
    rows(indices) {
      const batch = source.rows(indices)
      return { ...batch, labels: batch.labels!.map((label, i) => (kept.has(indices[i]!) ? label : -1)) }
    },
  }
}

/** What every result of a seed depends on, and what this one does. */
export function configOf({ data, settings }: Shop, seed: number, own: { readonly [key: string]: unknown }): JsonObject {
  const { hidden, epochs, rate } = settings
  const common = { seed, rows: data.train.length, hidden, epochs, rate }
  return JSON.parse(JSON.stringify({ ...common, ...own })) as JsonObject
}
