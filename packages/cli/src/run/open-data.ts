import { homedir } from 'node:os'
import { join } from 'node:path'
import { openDataset, type TrainTest } from '@imago/data'
import type { Context } from '../context.js'
import type { DataOptions } from '../options.js'

/** The data set that the options name; named sets lie in `--data-dir`, else IMAGO_DATA_DIR, else the cache (downloaded once). */
export async function openData({ env, signal }: Context, options: DataOptions): Promise<TrainTest> {
  const dataDir = options.dataDir ?? env.IMAGO_DATA_DIR
  return openDataset(options.data, { ...(dataDir !== undefined && { dataDir }), cacheDir: cacheFolder(env), signal })
}

/** Where downloads are kept: IMAGO_CACHE_DIR, else the platform's cache folder. */
export function cacheFolder(env: Context['env']): string {
  if (env.IMAGO_CACHE_DIR !== undefined) return env.IMAGO_CACHE_DIR
  if (env.XDG_CACHE_HOME !== undefined) return join(env.XDG_CACHE_HOME, 'imago')
  if (env.LOCALAPPDATA !== undefined) return join(env.LOCALAPPDATA, 'imago', 'cache')
  return join(homedir(), '.cache', 'imago')
}
