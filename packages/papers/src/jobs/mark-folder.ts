import { setTimeout as sleep } from 'node:timers/promises'
import { claimRunFolder, FolderInUse } from '@imago/trainer'

/**
 * Mark a folder as a recipe's, for a moment only: several processes work in it, each holding its job's folder.
 *
 * @throws StateError where the folder belongs to something else
 */
export async function markFolder(options: {
  readonly runDir: string
  readonly recipe: string
  readonly signal?: AbortSignal
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<unknown>
}): Promise<void> {
  const { runDir, recipe, signal, wait = sleep } = options
  for (let round = 0; ; round++) {
    try {
      const folder = await claimRunFolder(runDir, { recipe })
      return await folder.release({ keep: true })
    } catch (error) {
      if (!(error instanceof FolderInUse) || round === 20) throw error
      await wait(50 + 10 * round, signal)
    }
  }
}
