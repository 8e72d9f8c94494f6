import { batches, type Dataset, unlabelled } from '@imago/data'
import { hardLabel, softTarget } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { adamw, cosine } from '@imago/optim'
import { predictor } from '@imago/runtime'
import { fromPredict, rng } from '@imago/tensor'
import { evaluate, type JsonObject } from '@imago/trainer'
import type { Job, JobContext } from '../jobs/job.js'
import { type BestResult, trainBest } from '../jobs/train-best.js'
import type { ClassifierSet } from '../sets/classifier-set.js'
import type { RegularizerSettings } from './options.js'

export interface RegularizerShop {
  readonly set: ClassifierSet
  readonly hidden: readonly number[]
  readonly settings: RegularizerSettings
  readonly threads?: number | undefined
}

/** What a net's job leaves behind. */
export interface RegularizerJobResult extends JsonObject {
  /** Rows that were learned from. */
  readonly rows: number
  readonly training: BestResult
  /** Percent right: of the best epoch on held-out rows, and of the last. */
  readonly best: Accuracies
  readonly last: Accuracies
}

export interface Accuracies extends JsonObject {
  readonly train: number
  readonly test: number
}

/** The net on labels of the whole training set: the baseline, and the teacher. */
export function fullJob(shop: RegularizerShop): Job {
  return job(shop, fullName(shop), { kind: 'hard, all', seed: 1, epochs: shop.settings.epochs })
}

export function fullName({ set }: RegularizerShop): string {
  return `${set.name}-all`
}

/** The same net on the labels of a share. */
export function hardJob(shop: RegularizerShop, seed: number): Job {
  const { fewEpochs: epochs, share } = shop.settings
  return job(shop, hardName(shop, seed), { kind: 'hard, few', seed, epochs, share })
}

export function hardName({ set }: RegularizerShop, seed: number): string {
  return `${set.name}-few-hard-${seed}`
}

/** The same net on the same share, without a label: soft targets of the net that saw everything. */
export function softJob(shop: RegularizerShop, temperature: number, seed: number): Job {
  const { fewEpochs: epochs, share } = shop.settings
  const config = { kind: 'soft, few', seed, epochs, share, temperature } as const
  return { ...job(shop, softName(shop, temperature, seed), config), needs: [fullName(shop)] }
}

export function softName({ set }: RegularizerShop, temperature: number, seed: number): string {
  return `${set.name}-few-soft-T${temperature}-${seed}`
}

interface Plan {
  readonly kind: 'hard, all' | 'hard, few' | 'soft, few'
  readonly seed: number
  readonly epochs: number
  readonly share?: number
  readonly temperature?: number
}

function job(shop: RegularizerShop, name: string, plan: Plan): Job {
  const { set, hidden, settings, threads } = shop
  const { seed, epochs, share, temperature } = plan
  return {
    name,
    config: { ...plan, set: set.name, rate: settings.rate, hidden: [...hidden], oneIn: settings.oneIn },
    async *run(context) {
      // Hard and soft of one seed have the same rows, the same first weights and the same order.
      const random = rng(seed)
      const rows = share === undefined ? set.train : set.few(share, random.split('few'))
      const teacher =
        temperature === undefined ? undefined : await predictor(context.file(fullName(shop), 'model.onnx'), { threads })
      try {
        const training = yield* trainBest(
          {
            model: mlp([set.inputs, ...hidden, set.classes], { rng: random.split('weights') }),
            data: batches(teacher ? unlabelled(rows) : rows, { size: 100, rng: random.split('batches') }),
            heldOut: set.heldOut,
            loss: temperature === undefined ? hardLabel() : softTarget({ temperature }),
            optimizer: adamw({ rate: cosine({ peak: settings.rate }) }),
            epochs,
            evaluateEvery: Math.max(1, Math.floor(epochs / 25)),
            rng: random.split('masks'),
            ...(teacher && { targets: fromPredict(teacher) }),
            ...(threads !== undefined && { threads }),
          },
          context,
        )
        const best = await accuracies(shop, context, 'model.onnx', rows)
        const last = await accuracies(shop, context, 'last.onnx', rows)
        return { rows: rows.length, training, best, last } satisfies RegularizerJobResult
      } finally {
        await teacher?.dispose()
      }
    },
  }
}

async function accuracies(
  { set, threads }: RegularizerShop,
  { folder, signal }: JobContext,
  file: string,
  rows: Dataset,
): Promise<Accuracies> {
  const predict = await predictor(folder.inside(file), { threads })
  const of = async (data: Dataset): Promise<number> => {
    const { errorRate } = await evaluate({
      predict,
      data: batches(data, { size: 500, shuffle: false }),
      ...(signal && { signal }),
    })
    return 100 * (1 - errorRate)
  }
  try {
    return { train: await of(rows), test: await of(set.test) }
  } finally {
    await predict.dispose()
  }
}
