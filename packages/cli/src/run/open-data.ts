import { homedir } from 'node:os'
import { join } from 'node:path'
import { concat, openDataset, type TableEncoder, type TableSchema, type TrainTest } from '@imago/data'
import { ArgumentError } from '@imago/tensor'
import type { Context } from '../context.js'
import type { DataOptions } from '../options.js'
import { isTable, openTable } from './open-table.js'
import { openTransfer } from './open-transfer.js'

/** Rows to learn from and to count on; of a table what its columns hold, and what makes inputs of them. */
export interface OpenedData extends TrainTest {
  readonly schema?: TableSchema
  readonly encoder?: TableEncoder
}

/** The data set that the options name; named sets lie in `--data-dir`, else IMAGO_DATA_DIR, else the cache (downloaded once). */
export async function openData(
  context: Pick<Context, 'env' | 'note' | 'signal'>,
  options: DataOptions,
): Promise<OpenedData> {
  const { env, signal } = context
  const dataDir = options.dataDir ?? env.IMAGO_DATA_DIR
  const places = { ...(dataDir !== undefined && { dataDir }), cacheDir: cacheFolder(env), signal }
  if (isTable(options.data)) {
    const { note, ...found } = await openTable(options, places)
    context.note(note)
    return found
  }
  for (const name of ['label', 'nominal', 'ignore', 'schema', 'encoder'] as const)
    if (options[name] !== undefined)
      throw new ArgumentError('imago', `--${name}`, 'left out where --data is no .csv', options[name])
  const { transfer } = options
  if (transfer !== undefined && isTable(transfer))
    throw new ArgumentError(
      'imago',
      '--transfer',
      'no .csv where --data is none: what its columns are is told by those of --data',
      transfer,
    )
  const found = await openDataset(options.data, places)
  if (transfer === undefined) return found
  const more = await openTransfer(transfer, places)
  context.note(`${transfer}: ${more.length} unlabelled rows join the ${found.train.length} training rows`)
  return { ...found, train: concat(found.train, more) }
}

/** Where downloads are kept: IMAGO_CACHE_DIR, else the platform's cache folder. */
export function cacheFolder(env: Context['env']): string {
  if (env.IMAGO_CACHE_DIR !== undefined) return env.IMAGO_CACHE_DIR
  if (env.XDG_CACHE_HOME !== undefined) return join(env.XDG_CACHE_HOME, 'imago')
  if (env.LOCALAPPDATA !== undefined) return join(env.LOCALAPPDATA, 'imago', 'cache')
  return join(homedir(), '.cache', 'imago')
}
