import { type Dataset, subset } from '@imago/data'
import { hardLabel } from '@imago/losses'
import { readModel } from '@imago/onnx'
import { predictor } from '@imago/runtime'
import {
  type ClassSet,
  combineSpecialists,
  dustbinLabels,
  dustbinOffset,
  type Expert,
  fullSpecialistModel,
  halfHalf,
  labelsOf,
  specialHardLoss,
  specialistModel,
  type TrainedSpecialist,
  trainSpecialist,
} from '@imago/specialists'
import { fromPredict, type Predict, permutation, type Tensor, tensor } from '@imago/tensor'
import type { JsonObject } from '@imago/trainer'
import type { Job, JobContext } from '../jobs/job.js'
import { predictRows } from '../predict-rows.js'
import { generalistName } from './generalist.js'
import { configOf, costOf, falling, named, randomOf, type SpecialistsShop, sizesOf } from './shop.js'

/** `dustbin`: |S| + 1 outputs (§5.2); `full`: all classes, hard targets for special ones and the generalist's soft targets for others (§6.1). */
export type Head = 'dustbin' | 'full'

export const heads: readonly Head[] = ['dustbin', 'full']

export interface SpecialistResult extends JsonObject {
  readonly training: TrainedSpecialist
  /** Rows of an epoch. */
  readonly rows: number
  /** Multiply-adds of the training's forward passes. */
  readonly cost: number
}

/** One specialist, which begins as the generalist. */
export function specialistJob(shop: SpecialistsShop, set: ClassSet, head: Head): Job {
  const { task, settings, threads } = shop
  const { specialistEpochs: epochs, furtherRate, batch } = settings
  return {
    name: specialistName(shop, set, head),
    needs: [generalistName(shop)],
    config: configOf(shop, { kind: 'specialist', head, set: [...set.classes], specialistEpochs: epochs, furtherRate }),
    async *run(context) {
      const random = randomOf(shop, `${head} ${set.name}`)
      const file = context.file(generalistName(shop), 'model.onnx')
      const general = await predictor(file, { threads })
      try {
        const generalist = await readModel(file)
        const rows = (source: Dataset, use: string): ReturnType<typeof halfHalf> =>
          halfHalf({
            source,
            set,
            classes: task.classes,
            labels: labelsOf(source),
            size: batch,
            rng: random.split(use),
            ...(head === 'dustbin' && { map: dustbinLabels(set, task.classes) }),
          })
        const data = rows(task.train, 'rows')
        const model =
          head === 'full'
            ? fullSpecialistModel(generalist, { set })
            : specialistModel(generalist, { set, logits: await sampleOf(shop, general, context.signal) }).model
        const training = yield* trainSpecialist({
          model,
          data,
          heldOut: rows(task.heldOut, 'held out'),
          loss: head === 'full' ? specialHardLoss({ set, classes: task.classes }) : hardLabel(),
          ...(head === 'full' && { targets: fromPredict(general) }),
          optimizer: () => falling(furtherRate),
          epochs,
          offset: dustbinOffset(data),
          rng: random.split('masks'),
          folder: context.folder,
          ...(threads !== undefined && { threads }),
          ...(context.signal && { signal: context.signal }),
          ...(context.clock && { clock: context.clock }),
        })
        const sizes = head === 'full' ? sizesOf(shop) : [...sizesOf(shop).slice(0, -1), set.classes.length + 1]
        return {
          training,
          rows: data.rows,
          cost: data.rows * training.epochs * costOf(sizes),
        } satisfies SpecialistResult
      } finally {
        await general.dispose()
      }
    },
  }
}

export function specialistName(shop: SpecialistsShop, set: ClassSet, head: Head): string {
  return named(shop, `${head}-${set.name}`)
}

/** The generalist's logits on a thousand training rows, to fit a dustbin's constant to. */
async function sampleOf({ task }: SpecialistsShop, general: Predict, signal?: AbortSignal): Promise<Tensor> {
  const order = permutation(randomOf({ task, seed: 0 } as SpecialistsShop, 'sample'), task.train.length)
  const { logits, classes } = await predictRows(general, subset(task.train, order.slice(0, 1000)), signal)
  return tensor('float32', [logits.length / classes, classes], logits)
}

/** The generalist and the specialists of one head together, and how to close them. */
export async function openCombined(
  shop: SpecialistsShop,
  context: Pick<JobContext, 'file'>,
  plan: { readonly sets: readonly ClassSet[]; readonly head: Head; readonly topN: number },
): Promise<[Predict, () => Promise<void>]> {
  const { threads } = shop
  const generalist = await predictor(context.file(generalistName(shop), 'model.onnx'), { threads })
  const experts: (Expert & { readonly predict: Awaited<ReturnType<typeof predictor>> })[] = []
  for (const set of plan.sets) {
    const path = context.file(specialistName(shop, set, plan.head), 'specialist.onnx')
    experts.push({ set, head: plan.head, predict: await predictor(path, { threads }) })
  }
  const dispose = async (): Promise<void> => {
    for (const { predict } of [{ predict: generalist }, ...experts]) await predict.dispose()
  }
  return [combineSpecialists({ generalist, experts, topN: plan.topN }), dispose]
}
