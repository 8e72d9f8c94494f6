import { type Augment, affineAugment, batches, type SpokenDigits } from '@imago/data'
import { arithmetic, ensemble } from '@imago/ensembles'
import { hardLabel, hardWeightOf, softTarget } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { adamw, cosine } from '@imago/optim'
import { predictor } from '@imago/runtime'
import { fromPredict, type Predict, rng } from '@imago/tensor'
import { evaluate, type JsonObject } from '@imago/trainer'
import type { Job, JobContext } from '../jobs/job.js'
import { type BestResult, trainBest } from '../jobs/train-best.js'
import { predictRows } from '../predict-rows.js'
import type { StateStatistics } from '../speech/digit-models.js'
import { digitErrors } from '../speech/recognise.js'
import type { SpeechPart, SpeechSplit } from '../speech/speech-split.js'
import type { SpeechSettings } from './options.js'

/** What makes the jobs of one split. */
export interface SpeechShop {
  readonly split: SpeechSplit
  readonly digits: Pick<SpokenDigits, 'states' | 'lexicon'>
  readonly statistics: StateStatistics
  readonly settings: SpeechSettings
  readonly threads?: number | undefined
}

/** How a net does on utterances. */
export interface Scores extends JsonObject {
  readonly frameErrors: number
  readonly frames: number
  readonly crossEntropy: number
  readonly digitErrors: number
  readonly utterances: number
}

/** What a job that makes or combines nets leaves behind. */
export interface SpeechResult extends JsonObject {
  readonly heldOut: Scores
  readonly test: Scores
  readonly training?: BestResult
}

/** A net on labels with dropout: a member of the ensemble, and a baseline. */
export function memberJob(shop: SpeechShop, seed: number): Job {
  const { settings } = shop
  return netJob(shop, memberName(shop, seed), { seed, kind: 'member' }, async () => ({
    loss: hardLabel(),
    optimizer: adamw({ rate: cosine({ peak: settings.rate }) }),
  }))
}

export function memberName({ split }: SpeechShop, seed: number): string {
  return `${folderOf(split)}-member-${seed}`
}

/** A net on labels that differs from the distilled ones in nothing else: the same first weights, order of frames, stretching and dropout. */
export function twinJob(shop: SpeechShop, seed: number): Job {
  const { settings } = shop
  return netJob(shop, twinName(shop, seed), { seed, kind: 'twin' }, async () => ({
    loss: hardLabel(),
    optimizer: adamw({ rate: cosine({ peak: settings.rate }) }),
  }))
}

export function twinName({ split }: SpeechShop, seed: number): string {
  return `${folderOf(split)}-twin-${seed}`
}

/** All members together: the arithmetic mean of their distributions. */
export function ensembleJob(shop: SpeechShop): Job {
  const { settings } = shop
  const members = memberNames(shop)
  return {
    name: `${folderOf(shop.split)}-ensemble`,
    needs: members,
    config: configOf(shop, { kind: 'ensemble', members: settings.members }),
    // biome-ignore lint/correctness/useYield: there is nothing to report on the way
    async *run(context) {
      const [predict, dispose] = await openEnsemble(shop, context, 1)
      try {
        return await scores(shop, predict, context.signal)
      } finally {
        await dispose()
      }
    },
  }
}

/** A net of the members' size on the ensemble's soft targets at T, and on labels with the paper's weight. */
export function studentJob(shop: SpeechShop, temperature: number, seed: number): Job {
  const { settings } = shop
  const job = netJob(
    shop,
    studentName(shop, temperature, seed),
    { seed, kind: 'distilled', temperature, hardWeight: settings.hardWeight, members: settings.members },
    async (context) => {
      const [predict, dispose] = await openEnsemble(shop, context, temperature)
      return {
        loss: softTarget({ temperature, hardWeight: hardWeightOf(settings.hardWeight) }),
        optimizer: adamw({ rate: cosine({ peak: settings.rate }) }),
        targets: fromPredict(predict),
        dispose,
      }
    },
  )
  return { ...job, needs: memberNames(shop) }
}

export function studentName({ split }: SpeechShop, temperature: number, seed: number): string {
  return `${folderOf(split)}-distilled-T${temperature}-${seed}`
}

type Teaching = Pick<Parameters<typeof trainBest>[0], 'loss' | 'optimizer' | 'targets'> & {
  readonly dispose?: () => Promise<void>
}

function netJob(
  shop: SpeechShop,
  name: string,
  own: JsonObject & { readonly seed: number; readonly kind: string },
  teach: (context: JobContext) => Promise<Teaching>,
): Job {
  const { split, settings, threads } = shop
  return {
    name,
    config: configOf(shop, own),
    async *run(context) {
      // A member and a student of one seed begin with other weights; a student and its twin with the same.
      const random = rng(own.seed).split(own.kind === 'member' ? 'labels' : 'distilled')
      const { dispose, ...teaching } = await teach(context)
      const student = own.kind !== 'member'
      try {
        const training = yield* trainBest(
          {
            ...teaching,
            model: mlp([inputsOf(split), ...settings.hidden, shop.digits.states.length], {
              rng: random.split('weights'),
              ...((!student || split.unheard) && { dropout: settings.dropout }),
            }),
            data: batches(split.train.frames, {
              size: settings.batch,
              rng: random.split('batches'),
              ...(student && split.unheard && { augment: stretched(shop) }),
            }),
            heldOut: split.heldOut.frames,
            epochs: epochsOf(settings, own.kind),
            rng: random.split('masks'),
            ...(threads !== undefined && { threads }),
          },
          context,
        )
        const predict = await predictor(context.folder.inside('model.onnx'), { threads })
        try {
          return { ...(await scores(shop, predict, context.signal)), training }
        } finally {
          await predict.dispose()
        }
      } finally {
        await dispose?.()
      }
    },
  }
}

/** The window as an image: time downwards, frequency to the right. */
function stretched({ split, settings }: SpeechShop): Augment {
  const { before, after } = settings.context
  const height = before + 1 + after
  return affineAugment({ scale: settings.stretch, height, width: inputsOf(split) / height })
}

function memberNames(shop: SpeechShop): string[] {
  return Array.from({ length: shop.settings.members }, (_, i) => memberName(shop, i + 1))
}

async function openEnsemble(
  shop: SpeechShop,
  context: JobContext,
  temperature: number,
): Promise<[Predict, () => Promise<void>]> {
  const open = await Promise.all(
    memberNames(shop).map((name) => predictor(context.file(name, 'model.onnx'), { threads: shop.threads })),
  )
  const dispose = async (): Promise<void> => {
    for (const member of open) await member.dispose()
  }
  return [ensemble(open, arithmetic({ temperature })), dispose]
}

async function scores(shop: SpeechShop, predict: Predict, signal?: AbortSignal): Promise<SpeechResult> {
  const of = async (part: SpeechPart): Promise<Scores> => {
    const predicted = await predictRows(predict, part.frames, signal)
    const { errors, rows, crossEntropy } = await evaluate({
      predict,
      data: batches(part.frames, { size: 500, shuffle: false }),
      ...(signal && { signal }),
    })
    return {
      frameErrors: errors,
      frames: rows,
      crossEntropy,
      digitErrors: digitErrors(predicted, part, shop.digits, shop.statistics),
      utterances: part.utterances.length,
    }
  }
  return { heldOut: await of(shop.split.heldOut), test: await of(shop.split.test) }
}

function configOf({ split, settings }: SpeechShop, own: JsonObject & { readonly kind: string }): JsonObject {
  const { context, hidden, dropout, rate, batch, oneIn, stretch } = settings
  const student = own.kind === 'distilled' || own.kind === 'twin'
  return {
    ...own,
    split: split.name,
    context: { ...context },
    hidden: [...hidden],
    ...((own.kind === 'member' || (student && split.unheard)) && { dropout: { ...dropout } }),
    ...(student && split.unheard && { stretch }),
    epochs: epochsOf(settings, own.kind),
    rate,
    batch,
    oneIn,
  }
}

function epochsOf({ epochs, studentEpochs }: SpeechSettings, kind: string): number {
  return kind === 'distilled' || kind === 'twin' ? studentEpochs : epochs
}

function inputsOf({ train }: SpeechSplit): number {
  return train.frames.rows(Uint32Array.of(0)).inputs.input!.dims[1]!
}

function folderOf({ name }: SpeechSplit): string {
  return name.replaceAll(/[^a-z0-9]+/gi, '-')
}
