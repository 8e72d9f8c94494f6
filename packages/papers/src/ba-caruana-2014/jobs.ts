import { batches, type Dataset, jitterAugment, unlabelled } from '@imago/data'
import { ensemble, logitMean } from '@imago/ensembles'
import { hardLabel, type Loss, logitRegression, softTarget } from '@imago/losses'
import { type Model, mlp, shallow } from '@imago/onnx'
import { adamw, cosine } from '@imago/optim'
import { type Predictor, predictor } from '@imago/runtime'
import { elementCount, fromPredict, type Predict, rng } from '@imago/tensor'
import { type Evaluation, evaluate, type JsonObject, type Report } from '@imago/trainer'
import type { Job, JobContext } from '../jobs/job.js'
import { type BestResult, trainBest } from '../jobs/train-best.js'
import type { ClassifierSet } from '../sets/classifier-set.js'
import type { BaCaruanaSettings } from './options.js'

export interface BaCaruanaShop {
  readonly set: ClassifierSet
  /** Units of the hidden layers of the deep nets. */
  readonly deep: readonly number[]
  readonly regularized: BaCaruanaSettings['regularized']['fsdd']
  readonly settings: BaCaruanaSettings
  readonly threads?: number | undefined
}

/** How a shallow net is taught: by labels, by regression on the teacher's logits, or by its distribution at a temperature. */
export type Teaching = 'labels' | 'regression' | number

/** What a job leaves behind. */
export interface BaCaruanaJobResult extends JsonObject {
  /** Percent wrong on the test rows. */
  readonly testErrorRate: number
  readonly testCrossEntropy: number
  /** Percent wrong on the held-out rows. */
  readonly heldOutErrorRate: number
  /** Numbers that were learned, of a net. */
  readonly parameters?: number
  readonly training?: BestResult
}

/** A deep net on labels, with dropout and moved images: a member of the teacher. */
export function deepJob(shop: BaCaruanaShop, seed: number): Job {
  const { set, deep, regularized, settings } = shop
  const rate = settings.deepRate
  return {
    name: deepName(shop, seed),
    config: {
      kind: 'deep',
      set: set.name,
      seed,
      deep: [...deep],
      regularized: { ...regularized },
      rate,
      epochs: settings.epochs,
      oneIn: settings.oneIn,
    },
    run(context) {
      const random = rng(seed).split('deep')
      const model = mlp([set.inputs, ...deep, set.classes], { rng: random.split('weights'), dropout: regularized })
      const data = batches(set.train, {
        size: 128,
        rng: random.split('batches'),
        ...(regularized.jitter > 0 && { augment: jitterAugment(regularized.jitter) }),
      })
      const { epochs } = settings
      const optimizer = adamw({ rate: cosine({ peak: rate }) })
      const rest = { epochs, loss: hardLabel(), optimizer, rng: random.split('masks') }
      return net(shop, context, model, { data, ...rest })
    },
  }
}

export function deepName({ set }: BaCaruanaShop, seed: number): string {
  return `${set.name}-deep-${seed}`
}

/** The deep nets together: the mean of their logits. */
export function teacherJob(shop: BaCaruanaShop): Job {
  return {
    name: `${shop.set.name}-teacher`,
    needs: deepNames(shop),
    config: { kind: 'teacher', set: shop.set.name, members: shop.settings.members },
    // biome-ignore lint/correctness/useYield: there is nothing to report on the way
    async *run(context) {
      const teacher = await openTeacher(shop, context)
      try {
        return await measured(shop, teacher.predict, context.signal)
      } finally {
        await teacher.dispose()
      }
    },
  }
}

/** The shallow net, taught in one of the ways; all ways share first weights and the order of rows. */
export function shallowJob(shop: BaCaruanaShop, teaching: Teaching, rate: number, seed: number): Job {
  const { set, settings } = shop
  const { bottleneck, hidden, studentEpochs: epochs, members, oneIn } = settings
  const taught = teaching !== 'labels'
  return {
    name: shallowName(shop, teaching, rate, seed),
    needs: taught ? deepNames(shop) : [],
    config: {
      kind: 'shallow',
      set: set.name,
      teaching,
      rate,
      seed,
      bottleneck,
      hidden,
      epochs,
      oneIn,
      ...(taught && { members }),
    },
    async *run(context) {
      const random = rng(seed).split('shallow')
      const { inputs, classes } = set
      const model = shallow({ inputs, bottleneck, hidden, classes, rng: random.split('weights') })
      const rows = taught ? unlabelled(set.train) : set.train
      const data = batches(rows, { size: 128, rng: random.split('batches') })
      const optimizer = adamw({ rate: cosine({ peak: rate }) })
      const rest = { epochs, loss: lossOf(teaching), optimizer, rng: random.split('masks') }
      const teacher = taught ? await openTeacher(shop, context) : undefined
      try {
        const targets = teacher && { targets: fromPredict(teacher.predict) }
        return yield* net(shop, context, model, { data, ...rest, ...targets })
      } finally {
        await teacher?.dispose()
      }
    },
  }
}

export function shallowName({ set }: BaCaruanaShop, teaching: Teaching, rate: number, seed: number): string {
  const how = typeof teaching === 'number' ? `T${teaching}` : teaching
  return `${set.name}-shallow-${how}-${rate}-${seed}`
}

function lossOf(teaching: Teaching): Loss {
  if (teaching === 'labels') return hardLabel()
  return teaching === 'regression' ? logitRegression() : softTarget({ temperature: teaching })
}

type Plan = Omit<Parameters<typeof trainBest>[0], 'model' | 'heldOut' | 'threads'>

async function* net(
  shop: BaCaruanaShop,
  context: JobContext,
  model: Model,
  plan: Plan,
): AsyncGenerator<Report, BaCaruanaJobResult> {
  const { set, threads } = shop
  const training = yield* trainBest(
    { ...plan, model, heldOut: set.heldOut, ...(threads !== undefined && { threads }) },
    context,
  )
  const predict = await predictor(context.folder.inside('model.onnx'), { threads })
  try {
    const parameters = [...model.graph.initializers.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0)
    return { ...(await measured(shop, predict, context.signal)), parameters, training }
  } finally {
    await predict.dispose()
  }
}

function deepNames(shop: BaCaruanaShop): string[] {
  return Array.from({ length: shop.settings.members }, (_, i) => deepName(shop, i + 1))
}

async function openTeacher(
  shop: BaCaruanaShop,
  context: JobContext,
): Promise<{ readonly predict: Predict; dispose(): Promise<void> }> {
  const open: Predictor[] = []
  const dispose = async (): Promise<void> => {
    for (const one of open) await one.dispose()
  }
  try {
    for (const name of deepNames(shop))
      open.push(await predictor(context.file(name, 'model.onnx'), { threads: shop.threads }))
  } catch (error) {
    await dispose()
    throw error
  }
  return { predict: ensemble(open, logitMean()), dispose }
}

async function measured({ set }: BaCaruanaShop, predict: Predict, signal?: AbortSignal): Promise<BaCaruanaJobResult> {
  const of = (data: Dataset): Promise<Evaluation> =>
    evaluate({ predict, data: batches(data, { size: 500, shuffle: false }), ...(signal && { signal }) })
  const test = await of(set.test)
  const heldOut = await of(set.heldOut)
  return {
    testErrorRate: 100 * test.errorRate,
    testCrossEntropy: test.crossEntropy,
    heldOutErrorRate: 100 * heldOut.errorRate,
  }
}
