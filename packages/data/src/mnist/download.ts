import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { FormatError, ImagoError, NotFoundError } from '@imago/tensor'
import type { MnistFile } from './mnist-files.js'

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** A mirror that sends nothing for so long is given up. */
const PATIENCE_MS = 60_000

/**
 * Download one file to `path` from the first mirror that has it. It is written beside the target under a name of its own and
 * renamed only when length and SHA-256 are right, so a target that exists is whole, and two processes cannot harm each other.
 *
 * @throws FormatError where what came is not the file, NotFoundError where no mirror answered; either leaves nothing behind
 */
export async function download(
  file: MnistFile,
  path: string,
  options: { readonly mirrors: readonly string[]; readonly fetch: Fetch; readonly signal?: AbortSignal },
): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const failures: unknown[] = []
  for (const mirror of options.mirrors) {
    const url = `${mirror}${file.name}.gz`
    try {
      return await attempt(file, url, path, options)
    } catch (error) {
      options.signal?.throwIfAborted()
      failures.push(error)
    }
  }
  const refused = failures.find((failure) => failure instanceof ImagoError)
  if (refused !== undefined) throw refused
  throw new NotFoundError(
    `MNIST could not be downloaded (${file.name}.gz: ${failures.map(reason).join('; ')})`,
    'Connect to a network, or put the four .gz files of MNIST into a folder and name it as the data folder (--data-dir)',
    { cause: failures[0] },
  )
}

async function attempt(
  file: MnistFile,
  url: string,
  path: string,
  { fetch, signal }: { readonly fetch: Fetch; readonly signal?: AbortSignal },
): Promise<void> {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(new Error('no answer')), PATIENCE_MS)
  const temporary = `${path}.${randomUUID()}.tmp`
  const handle = await open(temporary, 'wx')
  try {
    // No redirects: the mirrors have none, and one could lead to http or into a local network.
    const response = await fetch(url, {
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
    })
    if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`)
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(new Error('no answer')), PATIENCE_MS)
      bytes += chunk.byteLength
      if (bytes > file.bytes) break
      hash.update(chunk)
      await handle.writeFile(chunk)
    }
    const sum = hash.digest('hex')
    if (bytes !== file.bytes || sum !== file.sha256) {
      const got = bytes > file.bytes ? 'more bytes' : `${bytes} bytes with ${sum}`
      throw new FormatError(
        url,
        `is not the file expected: ${file.bytes} bytes with SHA-256 ${file.sha256}, got ${got}`,
      )
    }
    await handle.sync()
    await handle.close()
    await rename(temporary, path)
  } finally {
    clearTimeout(timer)
    await handle.close().catch(() => {})
    await rm(temporary, { force: true })
  }
}

function reason(failure: unknown): string {
  const error = failure as Error & { cause?: { code?: string } }
  return error.cause?.code ?? error.message
}
