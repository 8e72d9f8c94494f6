import { type Dataset, subset } from '@imago/data'
import { hardLabel, type Loss, softTarget, squaredErrorOnProbabilities, virtualTeacher, weighted } from '@imago/losses'
import { openStudent } from '@imago/runtime'
import { type CheckpointStore, checkpointFolder, distill, meanTeacher, mutual, predictStudent } from '@imago/trainer'
import type { Job, JobContext } from '../jobs/job.js'
import { recorded, trainModel } from '../jobs/train-model.js'
import {
  configOf,
  counted,
  fewLabels,
  fresh,
  optimizerOf,
  randomOf,
  rowsOf,
  type SelfResult,
  type Shop,
  saved,
  size,
} from './shop.js'

export const jobName = {
  labels: (seed: number): string => `labels-${seed}`,
  mutual: (seed: number): string => `mutual-${seed}`,
  generation: (seed: number, generation: number): string => `born-again-${generation}-${seed}`,
  self: (seed: number): string => `own-logits-${seed}`,
  virtual: (seed: number): string => `virtual-teacher-${seed}`,
  few: (seed: number): string => `few-labels-${seed}`,
  mean: (seed: number): string => `mean-teacher-${seed}`,
}

/** Every net of one seed: all begin with the same weights (born-again nets with their own) and see the same order of rows. */
export function jobsOf(shop: Shop, seed: number): Job[] {
  const { settings } = shop
  const { self, virtual, generations } = settings
  const labels = jobName.labels(seed)
  return [
    single(shop, seed, labels, hardLabel(), {}),
    mutualJob(shop, seed),
    ...Array.from({ length: generations }, (_, i) => {
      const before = i === 0 ? labels : jobName.generation(seed, i)
      const loss = softTarget({ temperature: 1, hardWeight: 0.5 })
      return single(shop, seed, jobName.generation(seed, i + 1), loss, { generation: i + 1 }, before)
    }),
    single(
      shop,
      seed,
      jobName.self(seed),
      softTarget({ temperature: self.temperature, hardWeight: 1 - self.softWeight }),
      { self },
      labels,
    ),
    single(shop, seed, jobName.virtual(seed), virtualTeacher(virtual), { virtual }),
    fewJob(shop, seed),
    meanJob(shop, seed),
  ]
}

/** One net: on labels, or taught by what another job has made. */
function single(
  shop: Shop,
  seed: number,
  name: string,
  loss: Loss,
  config: { readonly [key: string]: unknown },
  teacher?: string,
): Job {
  const generation = typeof config.generation === 'number' ? config.generation : 0
  return {
    name,
    ...(teacher !== undefined && { needs: [teacher] }),
    config: configOf(shop, seed, { ...config, teacher }),
    async *run(context) {
      const random = randomOf(seed)
      const result = yield* trainModel(
        {
          model: fresh(shop, seed, generation),
          data: rowsOf(shop, random),
          test: shop.data.test,
          loss,
          optimizer: optimizerOf(shop),
          epochs: shop.settings.epochs,
          evaluateEvery: shop.settings.epochs,
          rng: random.split('masks'),
          ...(teacher !== undefined && { teacher: context.file(teacher, 'model.onnx') }),
          ...(shop.threads !== undefined && { threads: shop.threads }),
        },
        context,
      )
      const { errors, rows, crossEntropy } = result
      return { nets: [{ errors, rows, crossEntropy }] } satisfies SelfResult
    },
  }
}

/** Two nets that differ in their first weights, each with the other's logits beside the labels. */
function mutualJob(shop: Shop, seed: number): Job {
  const { settings, threads } = shop
  return {
    name: jobName.mutual(seed),
    config: configOf(shop, seed, {}),
    async *run(context) {
      const { signal } = context
      const random = randomOf(seed)
      const students = [
        await openStudent(fresh(shop, seed), { threads }),
        await openStudent(fresh(shop, seed, 1), { threads }),
      ]
      try {
        const peers = students.map((student, peer) => ({
          student,
          data: rowsOf(shop, random),
          loss: softTarget({ temperature: 1, hardWeight: 0.5 }),
          optimizer: optimizerOf(shop),
          epochs: settings.epochs,
          rng: random.split(`masks ${peer}`),
          checkpoint: { store: storeOf(context, peer) },
          ...(signal && { signal }),
        }))
        for await (const { peer, report } of mutual(peers)) if (peer === 0) yield report
        const nets = []
        for (const [peer, student] of students.entries()) {
          await saved(student, context, `peer-${peer}.onnx`)
          nets.push(await counted(shop, predictStudent(student), signal))
        }
        return { nets } satisfies SelfResult
      } finally {
        for (const student of students) await student.dispose()
      }
    },
  }
}

function storeOf({ folder }: JobContext, peer: number): CheckpointStore {
  return checkpointFolder(folder.inside(`peer-${peer}`))
}

/** The rows that keep their label, and nothing else: as many steps as with all rows. */
function fewJob(shop: Shop, seed: number): Job {
  const { settings, data } = shop
  return {
    name: jobName.few(seed),
    config: configOf(shop, seed, { labelled: settings.labelled, jitter: settings.jitter, dropout: settings.dropout }),
    async *run(context) {
      const random = randomOf(seed)
      const rows = labelledRows(fewLabels(data.train, settings.labelled))
      const steps = settings.epochs * Math.ceil(data.train.length / size)
      const result = yield* trainModel(
        {
          model: fresh(shop, seed, 0, settings.dropout),
          data: rowsOf(shop, random, rows, settings.jitter),
          test: data.test,
          loss: hardLabel(),
          optimizer: optimizerOf(shop),
          epochs: Math.ceil(steps / Math.ceil(rows.length / size)),
          evaluateEvery: steps,
          rng: random.split('masks'),
          ...(shop.threads !== undefined && { threads: shop.threads }),
        },
        context,
      )
      const { errors, rows: all, crossEntropy } = result
      return { nets: [{ errors, rows: all, crossEntropy }] } satisfies SelfResult
    },
  }
}

function labelledRows(source: Dataset): Dataset {
  const { labels } = source.rows(Uint32Array.from({ length: source.length }, (_, i) => i))
  return subset(source, Uint32Array.from([...labels!.keys()].filter((row) => labels![row]! >= 0)))
}

/** All rows, few labels: the labels' cross entropy, and squared distance to what the mean of the net's own past says. */
function meanJob(shop: Shop, seed: number): Job {
  const { settings, data, threads } = shop
  const { labelled, decay, consistency, epochs, jitter, dropout } = settings
  return {
    name: jobName.mean(seed),
    config: configOf(shop, seed, { labelled, decay, consistency, jitter, dropout }),
    async *run(context) {
      const { signal, folder } = context
      const random = randomOf(seed)
      const student = await openStudent(fresh(shop, seed, 0, dropout), { threads })
      try {
        const teacher = meanTeacher(student, { decay })
        // Rows without a label count in the mean of the labels' loss: their share makes the weights those of the labelled rows.
        const share = data.train.length / labelled
        const rise = (at: { readonly step: number; readonly stepsPerEpoch: number }): number =>
          consistency * Math.exp(-5 * (1 - Math.min(1, at.step / (0.3 * epochs * at.stepsPerEpoch))) ** 2)
        const loss = weighted({ hard: [hardLabel(), share], consistency: [squaredErrorOnProbabilities(), rise] })
        yield* recorded(
          distill({
            student,
            data: rowsOf(shop, random, fewLabels(data.train, labelled), jitter),
            // The student sees images that are moved, its teacher images as they are: what they say must not depend on it.
            targets: ({ ids }, abort) => teacher.targets({ ids, inputs: data.train.rows(ids).inputs }, abort),
            remember: false,
            loss: teacher.follow(loss),
            optimizer: optimizerOf(shop),
            epochs,
            rng: random.split('masks'),
            checkpoint: { store: folder.checkpoints },
            ...(signal && { signal }),
          }),
          context,
        )
        const mean = predictStudent({ ...student, parameters: teacher.parameters })
        await saved(student, context, 'model.onnx', teacher.parameters)
        return { nets: [await counted(shop, mean, signal)] } satisfies SelfResult
      } finally {
        await student.dispose()
      }
    },
  }
}
