import { predictor } from '@imago/runtime'
import type { ClassSet } from '@imago/specialists'
import type { Predict } from '@imago/tensor'
import type { JsonObject } from '@imago/trainer'
import type { Job, JobContext } from '../jobs/job.js'
import { predictRows } from '../predict-rows.js'
import { coverage, type Hits, hitsOf } from './hits.js'
import { configOf, named, type SpecialistsShop } from './shop.js'
import { type Head, heads, openCombined, specialistName } from './specialists.js'

/** What one classifier gets right on rows to choose by, and on rows to count on. */
export interface JudgedSystem extends JsonObject {
  readonly system: string
  readonly heldOut: Hits
  readonly test: Hits
}

export interface JudgeResult extends JsonObject {
  readonly systems: readonly JudgedSystem[]
  /** How many sets have the true class of each row, as in `Hits`. */
  readonly covered: { readonly heldOut: string; readonly test: string }
}

/** How one classifier is opened. */
export interface System {
  readonly name: string
  open(context: Pick<JobContext, 'file'>): Promise<[Predict, () => Promise<void>]>
  /** Jobs whose files it reads. */
  readonly needs: readonly string[]
}

/** The net that a job left behind. */
export function netSystem({ threads }: SpecialistsShop, name: string, job: string): System {
  return {
    name,
    needs: [job],
    async open(context) {
      const predict = await predictor(context.file(job, 'model.onnx'), { threads })
      return [predict, () => predict.dispose()]
    },
  }
}

/** Generalist and specialists, for each head and each n. */
export function combinedSystems(shop: SpecialistsShop, sets: readonly ClassSet[], topN: readonly number[]): System[] {
  return heads.flatMap((head) =>
    topN.map((n) => ({
      name: combinedName(head, n),
      needs: sets.map((set) => specialistName(shop, set, head)),
      open: (context) => openCombined(shop, context, { sets, head, topN: n }),
    })),
  )
}

export function combinedName(head: Head, topN: number): string {
  return `${head}, n = ${topN}`
}

/** Ask every classifier about every held-out and test row. */
export function judgeJob(
  shop: SpecialistsShop,
  name: string,
  sets: readonly ClassSet[],
  systems: readonly System[],
): Job {
  const { task } = shop
  return {
    name: named(shop, name),
    needs: [...new Set(systems.flatMap(({ needs }) => needs))],
    config: configOf(shop, {
      kind: 'judge',
      systems: systems.map((system) => system.name),
      sets: sets.map(({ classes }) => [...classes]),
    }),
    // biome-ignore lint/correctness/useYield: there is nothing to report on the way
    async *run(context): AsyncGenerator<never, JudgeResult> {
      const judged: JudgedSystem[] = []
      let covered: JudgeResult['covered'] | undefined
      for (const system of systems) {
        const [predict, dispose] = await system.open(context)
        try {
          const heldOut = await predictRows(predict, task.heldOut, context.signal)
          const test = await predictRows(predict, task.test, context.signal)
          covered ??= {
            heldOut: coverage(heldOut.labels, sets, task.classes),
            test: coverage(test.labels, sets, task.classes),
          }
          judged.push({ system: system.name, heldOut: hitsOf(heldOut, sets), test: hitsOf(test, sets) })
        } finally {
          await dispose()
        }
      }
      return { systems: judged, covered: covered ?? { heldOut: '', test: '' } }
    },
  }
}
