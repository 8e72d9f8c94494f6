import { arithmetic, ensemble } from '@imago/ensembles'
import { hardLabel, softTarget } from '@imago/losses'
import { type Model, mixtureOfExperts, mlp, readModel } from '@imago/onnx'
import { predictor } from '@imago/runtime'
import type { ClassSet } from '@imago/specialists'
import { fromPredict, type Predict } from '@imago/tensor'
import type { JsonObject } from '@imago/trainer'
import type { Job, JobContext } from '../jobs/job.js'
import { type BestTraining, trainBest } from '../jobs/train-best.js'
import { generalistName } from './generalist.js'
import { configOf, costOf, falling, named, randomOf, type SpecialistsShop, shuffled, sizesOf } from './shop.js'
import { type Head, openCombined, specialistName } from './specialists.js'

/** What all specialists of one head cost together, in passes of the generalist over its training rows: at least one. */
export function budgetOf({ task, ...shop }: SpecialistsShop, costs: readonly number[]): number {
  const epoch = task.train.length * costOf(sizesOf({ task, ...shop }))
  return Math.max(1, Math.round(costs.reduce((sum, cost) => sum + cost, 0) / epoch))
}

/** The generalist trained on, on labels and all classes, for as much as the specialists cost. */
export function onJob(shop: SpecialistsShop, epochs: number, rate: number): Job {
  return netJob(
    shop,
    onName(shop, rate),
    { kind: 'trained on', furtherEpochs: epochs, furtherRate: rate },
    {
      epochs,
      rate,
      model: (context) => readModel(context.file(generalistName(shop), 'model.onnx')),
    },
  )
}

export function onName(shop: SpecialistsShop, rate: number): string {
  return named(shop, `on-${rate}`)
}

/** A second full net, for as much as the specialists cost: with the generalist an ensemble of the same total cost. */
export function secondJob(shop: SpecialistsShop, epochs: number): Job {
  return netJob(
    shop,
    named(shop, 'second'),
    { kind: 'second', furtherEpochs: epochs },
    {
      epochs,
      rate: shop.settings.rate,
      model: async () => fresh(shop, 'second'),
    },
  )
}

/** A mixture of experts with a learned gate, for as much as generalist and specialists cost together. */
export function mixtureJob(shop: SpecialistsShop, budget: number): Job {
  const { task, settings } = shop
  const { experts, epochs, rate } = settings
  const hidden = Math.max(1, Math.round(settings.hidden.at(-1)! / 2))
  const cost = task.inputs * experts * (hidden + 1) + experts * hidden * task.classes
  const passes = Math.max(1, Math.round(((epochs + budget) * costOf(sizesOf(shop))) / cost))
  return netJob(
    shop,
    named(shop, 'mixture'),
    { kind: 'mixture', experts, expertUnits: hidden, mixtureEpochs: passes },
    {
      epochs: passes,
      rate,
      model: async () =>
        mixtureOfExperts({
          inputs: task.inputs,
          experts,
          hidden,
          classes: task.classes,
          rng: randomOf(shop, 'mixture').split('weights'),
        }),
    },
  )
}

/** What is distilled back, and from what. */
export interface BackPlan {
  readonly sets: readonly ClassSet[]
  readonly head: Head
  readonly topN: number
  readonly epochs: number
}

/**
 * One net of the generalist's size on the soft targets of generalist and specialists together (§8: "distill the knowledge in the specialists back into
 * the single large net"): it begins as the generalist and has as many further passes as the generalist trained on.
 */
export function backJob(shop: SpecialistsShop, { sets, head, topN, epochs }: BackPlan): Job {
  const { temperature, furtherRate } = shop.settings
  const own = { kind: 'distilled back', head, topN, temperature, furtherEpochs: epochs, furtherRate }
  const job = netJob(shop, named(shop, `back-${head}-${topN}`), own, {
    epochs,
    rate: furtherRate,
    model: (context) => readModel(context.file(generalistName(shop), 'model.onnx')),
    teach: async (context) => {
      const [predict, dispose] = await openCombined(shop, context, { sets, head, topN })
      return { loss: softTarget({ temperature }), targets: fromPredict(predict), dispose }
    },
  })
  return { ...job, needs: [generalistName(shop), ...sets.map((set) => specialistName(shop, set, head))] }
}

interface NetPlan {
  readonly epochs: number
  readonly rate: number
  model(context: JobContext): Promise<Model>
  /** Absent: labels. */
  teach?(context: JobContext): Promise<Pick<BestTraining, 'loss' | 'targets'> & { dispose(): Promise<void> }>
}

function netJob(
  shop: SpecialistsShop,
  name: string,
  own: JsonObject & { readonly kind: string },
  { epochs, rate, model, teach }: NetPlan,
): Job {
  const { task, threads } = shop
  return {
    name,
    needs: [generalistName(shop)],
    config: configOf(shop, own),
    async *run(context) {
      const random = randomOf(shop, own.kind)
      const { dispose, ...teaching } = (await teach?.(context)) ?? { loss: hardLabel() }
      try {
        return yield* trainBest(
          {
            ...teaching,
            model: await model(context),
            data: shuffled(shop, task.train, random.split('batches')),
            heldOut: task.heldOut,
            optimizer: falling(rate),
            epochs,
            rng: random.split('masks'),
            ...(threads !== undefined && { threads }),
          },
          context,
        )
      } finally {
        await dispose?.()
      }
    },
  }
}

/** A net of the generalist's size with weights of its own. */
function fresh(shop: SpecialistsShop, use: string): Model {
  const { dropout } = shop.settings
  const options = dropout > 0 ? { dropout: { hidden: dropout } } : {}
  return mlp(sizesOf(shop), { rng: randomOf(shop, use).split('weights'), ...options })
}

/** The generalist and the second net: the arithmetic mean of their distributions. */
export async function openEnsemble(
  shop: SpecialistsShop,
  context: Pick<JobContext, 'file'>,
): Promise<[Predict, () => Promise<void>]> {
  const files = [generalistName(shop), named(shop, 'second')]
  const open = await Promise.all(
    files.map((name) => predictor(context.file(name, 'model.onnx'), { threads: shop.threads })),
  )
  const dispose = async (): Promise<void> => {
    for (const member of open) await member.dispose()
  }
  return [ensemble(open, arithmetic()), dispose]
}
