import { batches, type Dataset, jitterAugment, split, type TrainTest, unlabelled } from '@imago/data'
import { hardLabel, softTarget } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { adamw, constant, cosine, hinton2012, type MaxSquaredNorm, type Optimizer, type Schedule } from '@imago/optim'
import { rng } from '@imago/tensor'
import type { JsonObject } from '@imago/trainer'
import type { Job } from '../jobs/job.js'
import { trainModel } from '../jobs/train-model.js'
import { ofClasses } from '../of-classes.js'
import { defaults, paper, type Settings } from './options.js'

/** What makes jobs: the data, the settings, this process's threads. */
export interface Workshop {
  readonly data: TrainTest
  readonly settings: Settings
  readonly threads?: number | undefined
}

/** How one student is trained; the twin and the distilled one share seed, steps, optimizer and schedule. */
export interface StudentPlan {
  readonly seed: number
  readonly rate: number
  readonly epochs: number
  /** Default: that of the settings. */
  readonly schedule?: Settings['schedule']
  /** Absent: hard labels. */
  readonly soft?: { readonly temperature: number; readonly hardWeight: number; readonly teacher: string }
  /** Train on 55,000 images and count errors on the other 5,000 of the training set. */
  readonly heldOut?: boolean
  /** Train on the images of these digits alone; default: all. */
  readonly transfer?: readonly number[]
}

/** The 1200-1200 teacher: dropout, max-norm, ±2 px jitter. */
export function teacherJob(
  { data, settings, threads }: Workshop,
  name: string,
  plan: { readonly seed: number; readonly epochs: number; readonly heldOut?: boolean },
): Job {
  const { dropout, maxSquaredNorm, jitter } = paper.teacher
  const { seed, epochs, heldOut = false } = plan
  const rate = settings.teacherRate
  return {
    name,
    config: {
      kind: 'teacher',
      seed,
      epochs,
      heldOut,
      rate,
      ...commonConfig(settings, 'teacher', settings.teacherSchedule),
    },
    run(context) {
      const random = rng(seed)
      const { train, test } = partsOf(data, heldOut)
      const layers = settings.hidden.teacher.map((_, i) => [`fc${i + 1}.weight`, 'rows'] as const)
      const units: MaxSquaredNorm['units'] = Object.fromEntries(layers)
      return trainModel(
        {
          model: mlp(sizesOf(settings.hidden.teacher), { rng: random.split('teacher'), dropout }),
          data: batches(train, {
            size: paper.batch,
            rng: random.split('teacher batches'),
            augment: jitterAugment(jitter),
          }),
          test,
          loss: hardLabel(),
          optimizer: optimizerOf(settings, settings.teacherSchedule, rate, epochs, { limit: maxSquaredNorm, units }),
          epochs,
          rng: random.split('teacher masks'),
          ...(threads !== undefined && { threads }),
        },
        context,
      )
    },
  }
}

/** The 800-800 student, on hard labels or on a teacher's soft targets; images as they are. */
export function studentJob({ data, settings, threads }: Workshop, name: string, plan: StudentPlan): Job {
  const { seed, rate, epochs, soft, heldOut = false, schedule = settings.schedule, transfer } = plan
  return {
    name,
    ...(soft && { needs: [soft.teacher] }),
    config: {
      kind: 'student',
      seed,
      epochs,
      heldOut,
      rate,
      ...commonConfig(settings, 'student', schedule),
      ...(soft && { soft: { ...soft } }),
      ...(transfer && { transfer }),
    },
    run(context) {
      const random = rng(seed)
      const { train: all, test } = partsOf(data, heldOut)
      const train = transfer ? ofClasses(all, transfer) : all
      // Where the labels have no part in the loss, they are not even there.
      const rows = soft && soft.hardWeight === 0 ? unlabelled(train) : train
      return trainModel(
        {
          model: mlp(sizesOf(settings.hidden.student), { rng: random.split('student') }),
          data: batches(rows, { size: paper.batch, rng: random.split('student batches') }),
          test,
          loss: soft ? softTarget(soft) : hardLabel(),
          optimizer: optimizerOf(settings, schedule, rate, epochs),
          epochs,
          rng: random.split('student masks'),
          ...(soft && { teacher: context.file(soft.teacher, 'model.onnx') }),
          ...(threads !== undefined && { threads }),
        },
        context,
      )
    },
  }
}

/** How the rate goes from its peak. */
const schedules: { readonly [name in Settings['schedule']]: (peak: number) => Schedule } = {
  cosine: (peak) => cosine({ peak }),
  constant,
}

/** What all jobs of a kind share; units are told where they are not the paper's. */
function commonConfig(
  { optimizer, hidden }: Settings,
  kind: 'teacher' | 'student',
  schedule: Settings['schedule'],
): JsonObject {
  const units = hidden[kind].join()
  return {
    optimizer,
    schedule: optimizer === 'sgd' ? 'hinton2012' : schedule,
    ...(units !== defaults.hidden[kind].join() && { hidden: units }),
  }
}

function sizesOf(hidden: readonly number[]): number[] {
  return [784, ...hidden, 10]
}

function optimizerOf(
  settings: Settings,
  schedule: Settings['schedule'],
  rate: number,
  epochs: number,
  limit?: MaxSquaredNorm,
): Optimizer {
  const held = limit && { maxSquaredNorm: limit }
  if (settings.optimizer === 'sgd')
    return hinton2012({
      rate,
      // 500 epochs of 3000 in the paper; a third of a run that is shorter than the ramp.
      momentum: { from: 0.5, to: 0.99, epochs: Math.min(500, Math.max(1, Math.round(epochs / 3))) },
      ...held,
    })
  return adamw({ rate: schedules[schedule](rate), ...held })
}

/** All of it, or 5,000 training images held out to choose by: the same ones for everybody. */
function partsOf(data: TrainTest, heldOut: boolean): { train: Dataset; test: Dataset } {
  if (!heldOut) return data
  const { train, validation } = split(data.train, { validation: 1 / paper.heldOut, rng: rng(0).split('held out') })
  return { train, test: validation }
}
