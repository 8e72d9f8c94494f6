import { appendFile, readFile } from 'node:fs/promises'
import { writeAtomic } from '@imago/data/files'
import type { JsonObject } from '../json.js'

/** A file of JSON objects, one a line, that only grows. */
export interface MetricsLog {
  readonly path: string
  append(row: JsonObject): Promise<void>
  /**
   * Drop what was recorded after `step`, and a last line that a kill cut off: training goes on from there and will
   * record it again. Rows without a step stay; so do rows of other tasks where `task` is given and several share the file.
   */
  rewind(step: number, task?: string): Promise<void>
  rows(): Promise<JsonObject[]>
}

export function metricsLog(path: string): MetricsLog {
  const lines = async (): Promise<{ text: string; row: JsonObject }[]> => {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
    return text
      .split('\n')
      .slice(0, -1)
      .flatMap((line) => {
        const row = parse(line)
        return row ? [{ text: line, row }] : []
      })
  }
  return {
    path,
    append: (row) => appendFile(path, `${JSON.stringify(row)}\n`),
    async rewind(step, task) {
      const stays = (row: JsonObject): boolean =>
        typeof row.step !== 'number' || row.step <= step || (task !== undefined && row.task !== task)
      const kept = (await lines()).filter(({ row }) => stays(row))
      await writeAtomic(path, [new TextEncoder().encode(kept.map(({ text }) => `${text}\n`).join(''))])
    },
    rows: async () => (await lines()).map(({ row }) => row),
  }
}

function parse(line: string): JsonObject | undefined {
  try {
    return JSON.parse(line) as JsonObject
  } catch {
    return undefined
  }
}
