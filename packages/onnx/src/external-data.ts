import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname, join as joinPath } from 'node:path'
import { elementCount, FormatError, NotFoundError, UnsupportedError } from '@imago/tensor'
import { byteSize } from './codec/element-size.js'
import { typeCode } from './data-types.js'
import { decode } from './decode.js'
import { encodePieces, longest } from './encode.js'
import { locationParts } from './external-path.js'
import { listTensors, mapTensors } from './graph-tensors.js'
import type { ConstantTensor, Model } from './ir.js'

// The only file of this package that touches the file system.

/**
 * Read an .onnx file and the external data that it names.
 * @throws NotFoundError where there is no such file; FormatError where it is no ONNX model, or its external data is missing,
 * outside the model's folder, behind a link, or of the wrong size
 */
export async function readModel(path: string): Promise<Model> {
  const bytes = await readRegular(path)
  return loadExternalData(decode(bytes, { name: path }), dirname(path))
}

/**
 * A model with its external data read from `folder`, each file once. The files are not trusted: only regular files below
 * the folder are opened, without following links, and none that has a second name elsewhere (a hard link).
 * @throws FormatError
 */
export async function loadExternalData(model: Model, folder: string): Promise<Model> {
  const wanted = new Map<string, ConstantTensor[]>()
  for (const constant of listTensors(model)) {
    if (constant.external === undefined) continue
    const path = joinPath(...locationParts(constant.external.location, `tensor "${constant.name}"`))
    const tensors = wanted.get(path) ?? []
    tensors.push(constant)
    wanted.set(path, tensors)
  }
  if (wanted.size === 0) return model
  const loaded = new Map<ConstantTensor, Uint8Array>()
  for (const [path, tensors] of wanted) await loadFile(folder, path, tensors, loaded)
  return mapTensors(model, (constant) => {
    const raw = loaded.get(constant)
    if (raw === undefined) return constant
    const { external: _, ...rest } = constant
    return { ...rest, raw }
  })
}

async function loadFile(
  folder: string,
  path: string,
  tensors: readonly ConstantTensor[],
  loaded: Map<ConstantTensor, Uint8Array>,
): Promise<void> {
  const full = joinPath(folder, path)
  const file = await openUntrusted(folder, path)
  try {
    const { size } = await file.stat()
    for (const constant of tensors) {
      const { offset } = constant.external!
      const length = lengthOf(constant)
      if (constant.type === 'string')
        throw new FormatError(full, `tensor "${constant.name}": texts are not kept in external data`)
      if (offset + length > size)
        throw new FormatError(
          full,
          `tensor "${constant.name}" needs bytes ${offset} to ${offset + length}, the file has ${size}`,
        )
    }
    // Sizes are known to fit in the file before any memory is taken.
    for (const constant of tensors) {
      loaded.set(constant, await readStretch(file, constant.external!.offset, lengthOf(constant), full))
    }
  } finally {
    await file.close()
  }
}

/** Bytes that a constant takes. */
function lengthOf({ type, foreign, dims }: ConstantTensor): number {
  return byteSize(foreign ?? typeCode(type), elementCount(dims)) ?? 0
}

/** Open a file below the folder without following a link on the way, be it swapped in at the last moment. */
async function openUntrusted(folder: string, path: string): Promise<FileHandle> {
  const full = joinPath(folder, path)
  const parts = path.split(/[\\/]/)
  let at = await realpath(folder)
  for (const part of parts.slice(0, -1)) {
    at = joinPath(at, part)
    const found = await lstat(at).catch((cause: unknown) => missing(full, cause))
    if (!found.isDirectory())
      throw new FormatError(full, `external data behind "${part}", which is a link or no folder, is not read`)
  }
  const target = joinPath(at, parts.at(-1)!)
  const before = await lstat(target).catch((cause: unknown) => missing(full, cause))
  if (!before.isFile()) throw new FormatError(full, 'external data must be a regular file, no link, folder or device')
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
  const file = await open(target, flags).catch((cause: unknown) => missing(full, cause))
  try {
    const after = await file.stat()
    if (!after.isFile() || after.ino !== before.ino || after.dev !== before.dev)
      throw new FormatError(full, 'external data was replaced while it was opened')
    if (after.nlink > 1) throw new FormatError(full, 'external data with several hard links is not read; copy the file')
    // A folder on the way may have been swapped for a link since it was looked at.
    if ((await realpath(target)) !== target) throw new FormatError(full, 'external data must not be behind a link')
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

function missing(path: string, cause: unknown): never {
  throw new FormatError(path, 'the external data file cannot be read; it belongs beside the model', { cause })
}

/** Node reads at most 2 GiB at once. */
const largestRead = 2 ** 30

async function readStretch(file: FileHandle, offset: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = allocate(length, path)
  let done = 0
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, Math.min(largestRead, length - done), offset + done)
    if (bytesRead === 0) throw new FormatError(path, `ended at byte ${offset + done} while it was read`)
    done += bytesRead
  }
  return bytes
}

/** Beyond what the platform can hold in one array (a sparse file claims any size). */
function allocate(length: number, path: string): Uint8Array {
  try {
    return new Uint8Array(length)
  } catch (cause) {
    throw new UnsupportedError(path, `${length} bytes in one piece do not fit into memory`, { cause })
  }
}

async function readRegular(path: string): Promise<Uint8Array> {
  // Not blocking: opening a named pipe would otherwise wait for its writer for ever.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch((cause: unknown) => {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new NotFoundError(`There is no file ${JSON.stringify(path)}`, 'Give the path of an .onnx file.', { cause })
    throw new FormatError(path, `cannot be opened (${code ?? 'unknown reason'})`, { cause })
  })
  try {
    const found = await file.stat()
    if (!found.isFile())
      throw new FormatError(path, `is a ${found.isDirectory() ? 'folder' : 'device or pipe'}, not an .onnx file`)
    if (found.size > longest)
      throw new FormatError(
        path,
        `has ${found.size} bytes; an .onnx file holds at most ${longest}, more is external data`,
      )
    return await readStretch(file, 0, found.size, path)
  } finally {
    await file.close()
  }
}

export interface WriteOptions {
  /**
   * Models whose file would be larger than this many bytes have their weights (of 1 KiB and more) written to a second file,
   * `<name>.onnx.<digest>.data`. Default 2³¹ − 1, where protobuf ends; 0 always makes the second file.
   */
  readonly externalThreshold?: number
}

/** Weights start at multiples of this, so that they can be mapped into memory. */
const alignment = 4096
const smallest = 1024

/**
 * Write a model as an .onnx file, atomically: beside the target first, then flushed and renamed, so that a crash leaves the
 * old file or the new one. External data, where needed, is written before the file that names it. Where external data of the
 * model has not been loaded its location is kept as it is.
 */
export async function writeModel(path: string, model: Model, options: WriteOptions = {}): Promise<void> {
  const { externalThreshold = longest } = options
  const whole = encodePieces(model)
  if (whole.size <= externalThreshold) return writeAtomic(path, whole.parts)
  const parts: Uint8Array[] = []
  let offset = 0
  // The name tells the content: a crash between the two files leaves the old model with its old data.
  const location = `${basename(path)}.${digest(model)}.data`
  const outside = mapTensors(model, (constant) => {
    if (!isOutside(constant)) return constant
    const padding = (alignment - (offset % alignment)) % alignment
    if (padding > 0) parts.push(new Uint8Array(padding))
    parts.push(constant.raw)
    const start = offset + padding
    const length = constant.raw.length
    offset = start + length
    const { raw: _, ...rest } = constant
    const entries = [
      ['location', location],
      ['offset', String(start)],
      ['length', String(length)],
    ] as const
    return { ...rest, external: { location, offset: start, length, entries } }
  })
  if (parts.length > 0) await writeAtomic(joinPath(dirname(path), location), parts)
  await writeAtomic(path, encodePieces(outside).parts)
  await removeOlder(path, new Set(listTensors(outside).flatMap(({ external }) => external?.location ?? [])))
}

function isOutside(constant: ConstantTensor): constant is ConstantTensor & { readonly raw: Uint8Array } {
  return constant.raw !== undefined && constant.raw.length >= smallest
}

function digest(model: Model): string {
  const hash = createHash('sha256')
  for (const constant of listTensors(model)) if (isOutside(constant)) hash.update(constant.raw)
  return hash.digest('hex').slice(0, 16)
}

/** Data files of earlier versions of this model, which nothing names any more. */
async function removeOlder(path: string, named: ReadonlySet<string>): Promise<void> {
  const start = `${basename(path)}.`
  for (const name of await readdir(dirname(path)))
    if (!named.has(name) && name.startsWith(start) && /^[0-9a-f]{16}\.data$/.test(name.slice(start.length)))
      await rm(joinPath(dirname(path), name), { force: true })
}

async function writeAtomic(path: string, parts: readonly Uint8Array[]): Promise<void> {
  // A name that nobody can guess, made by us: never a link that somebody put there, nor the file of another writer.
  const temporary = `${path}.${randomUUID()}.tmp`
  const file = await open(temporary, 'wx').catch((cause: unknown) => {
    const code = (cause as NodeJS.ErrnoException).code
    throw new NotFoundError(
      `${path} cannot be written (${code ?? cause})`,
      'Check that its folder exists and may be written',
      {
        cause,
      },
    )
  })
  try {
    try {
      for (const part of parts) await writeAll(file, part)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, Math.min(largestRead, bytes.length - done))
    done += bytesWritten
  }
}

/** The new name itself must reach the disk; some platforms cannot flush folders. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}
