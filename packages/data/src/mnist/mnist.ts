import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ArgumentError, NotFoundError } from '@imago/tensor'
import { type ImageOptions, idxDataset } from '../idx/idx-dataset.js'
import type { TrainTest } from '../train-test.js'
import { download, type Fetch } from './download.js'
import { type MnistFile, mnistFiles, mnistMirrors } from './mnist-files.js'

export interface MnistOptions extends Omit<ImageOptions, 'classes'> {
  /** Looked at first: the files lie in it, in its `mnist` or in its `data/mnist`, gzipped or not. */
  readonly dataDir?: string
  /** Where downloads are kept; without it nothing is downloaded. */
  readonly cacheDir?: string
  /** The way to the network; `globalThis.fetch` if left out, `false` to stay offline. */
  readonly fetch?: Fetch | false
  readonly mirrors?: readonly string[]
  readonly signal?: AbortSignal
}

/**
 * MNIST (LeCun, Cortes & Burges): 60,000 and 10,000 images 28×28 of ten digits, as float32 rows in [0, 1]. Found in `dataDir`,
 * else in `cacheDir`, else downloaded there and held against its SHA-256.
 *
 * @throws NotFoundError saying where it was looked for and what to do
 */
export async function mnist(options: MnistOptions = {}): Promise<TrainTest> {
  const found = options.dataDir === undefined ? undefined : await findMnist(options.dataDir)
  const paths = found ?? (await cached(options))
  const { input, shape, scale } = options
  const images = Object.fromEntries(Object.entries({ input, shape, scale }).filter(([, value]) => value !== undefined))
  const open = (pixels: string, labels: string) => idxDataset(pixels, labels, { ...images, classes: 10 })
  return {
    train: await open(paths.trainImages, paths.trainLabels),
    test: await open(paths.testImages, paths.testLabels),
  }
}

type MnistPaths = { readonly [file in keyof typeof mnistFiles]: string }

/** The four files below a folder, or undefined where one of them is missing. */
export async function findMnist(folder: string): Promise<MnistPaths | undefined> {
  for (const place of [join(folder, 'mnist'), join(folder, 'data', 'mnist'), folder]) {
    const paths = await resolve((file) => firstFile(spellings(join(place, file.name))))
    if (paths !== undefined) return paths
  }
  return undefined
}

/** Copies of the files circulate with a dot for the dash before `idx`, and unpacked. */
function spellings(path: string): string[] {
  const dotted = path.replace(/-(idx\d-ubyte)$/, '.$1')
  return [`${path}.gz`, path, `${dotted}.gz`, dotted]
}

async function cached(options: MnistOptions): Promise<MnistPaths> {
  const { cacheDir, dataDir, fetch = globalThis.fetch, mirrors = mnistMirrors, signal } = options
  if (dataDir !== undefined && !(await isThere(dataDir)))
    throw new NotFoundError(`There is no data folder ${dataDir}`, 'Check the path, or leave it out to use the cache')
  if (cacheDir === undefined)
    throw new NotFoundError(
      dataDir === undefined ? 'MNIST was asked for without a folder' : `MNIST is not in ${dataDir}`,
      `Put ${mnistFiles.trainImages.name}.gz and the other three files there, or give a cache folder to download into`,
    )
  if (fetch !== false && typeof fetch !== 'function')
    throw new ArgumentError('mnist', 'fetch', 'a function or false', fetch)
  const paths = await resolve(async (file) => {
    const path = join(cacheDir, 'mnist', `${file.name}.gz`)
    if (await isWhole(path, file)) return path
    if (fetch === false)
      throw new NotFoundError(
        `${path} is not there (or not whole) and downloading is off`,
        'Allow the download, or put the four .gz files of MNIST into a folder and name it as the data folder',
      )
    await download(file, path, { mirrors, fetch, ...(signal ? { signal } : {}) })
    return path
  })
  return paths!
}

async function resolve(locate: (file: MnistFile) => Promise<string | undefined>): Promise<MnistPaths | undefined> {
  const paths: { [file: string]: string } = {}
  for (const [key, file] of Object.entries(mnistFiles)) {
    const path = await locate(file)
    if (path === undefined) return undefined
    paths[key] = path
  }
  return paths as MnistPaths
}

async function firstFile(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await isThere(path)) return path
  return undefined
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

async function isWhole(path: string, file: MnistFile): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile() || found.size !== file.bytes) return false
  return (
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex') === file.sha256
  )
}
