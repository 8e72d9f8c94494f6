import { Worker } from 'node:worker_threads'
import { StateError } from '@imago/tensor'

/** Blocks that lie together in one file, and where they go in memory. */
export interface BlockRead {
  readonly fd: number
  readonly position: number
  readonly length: number
  /** Their first byte in memory, and the number of the first among the checksums. */
  readonly offset: number
  readonly first: number
}

/** What was read: bytes, and a CRC-32 for each block. */
export interface ReadBlocks {
  readonly bytes: Uint8Array
  readonly crcs: Uint32Array
  /** Bytes that were there of each read: fewer than asked for where its file ends before. */
  readonly found: Float64Array
}

/** Threads that wait for the disk, and take checksums, in place of the one that asks. */
export interface BlockReaders {
  /** Read all; `use` gets them, and must be done with them when it returns. */
  read<T>(reads: readonly BlockRead[], blockBytes: number, use: (blocks: ReadBlocks) => T): Promise<T>
  close(): Promise<void>
}

interface Task {
  readonly id: number
  /** fd, position, length, offset, first, place in `found`, of one read after another. */
  readonly reads: Float64Array
  readonly blockBytes: number
  /** `found`, then `crcs`, then `bytes`; where the latter two begin. */
  readonly memory: SharedArrayBuffer
  readonly crcsAt: number
  readonly bytesAt: number
}

interface Answer {
  readonly id: number
  readonly message?: string
}

const fields = 6

/**
 * `count` threads. They start with the first read, and do not keep a process alive that waits for nothing else. Files are those that this thread has
 * opened: a number is the same file in every thread.
 */
export function blockReaders(count: number): BlockReaders {
  const waiting = new Map<number, (error?: Error) => void>()
  const spare: SharedArrayBuffer[] = []
  let workers: Worker[] | undefined
  let next = 0
  let closed = false

  const fail = (error: Error): void => {
    for (const done of waiting.values()) done(error)
  }
  const start = (): Worker[] =>
    Array.from({ length: count }, () => {
      const worker = new Worker(source, { eval: true })
      worker.on('message', ({ id, message }: Answer) =>
        waiting.get(id)?.(message === undefined ? undefined : new Error(message)),
      )
      worker.on('error', fail)
      worker.unref()
      return worker
    })
  const ask = (worker: Worker, task: Omit<Task, 'id'>): Promise<void> =>
    new Promise((resolve, reject) => {
      const id = next++
      worker.ref()
      waiting.set(id, (error) => {
        waiting.delete(id)
        if (waiting.size === 0) for (const one of workers ?? []) one.unref()
        if (error) reject(error)
        else resolve()
      })
      worker.postMessage({ id, ...task } satisfies Task)
    })

  return {
    async read(reads, blockBytes, use) {
      if (closed) throw new StateError('the threads that read are closed', 'Open the store again')
      workers ??= start()
      const last = reads.at(-1)!
      const blocks = last.first + Math.ceil(last.length / blockBytes)
      const size = last.offset + last.length
      const crcsAt = 8 * reads.length
      const bytesAt = crcsAt + 4 * blocks
      const at = spare.findIndex((one) => one.byteLength >= bytesAt + size)
      // A little more than is needed: the next batch has a few blocks more or fewer, and finds it.
      const memory = at < 0 ? new SharedArrayBuffer(Math.ceil(1.25 * (bytesAt + size))) : spare.splice(at, 1)[0]!
      const parts = workers.map((): number[] => [])
      for (const [i, { fd, position, length, offset, first }] of reads.entries())
        parts[i % parts.length]!.push(fd, position, length, offset, first, i)
      const tasks = parts.flatMap((part, w) =>
        part.length === 0
          ? []
          : [ask(workers![w]!, { reads: Float64Array.from(part), blockBytes, memory, crcsAt, bytesAt })],
      )
      // All are waited for: nothing may be written any more when memory or files are given back.
      const done = await Promise.allSettled(tasks)
      const failed = done.find((one) => one.status === 'rejected')
      if (failed) throw failed.reason
      const result = use({
        bytes: new Uint8Array(memory, bytesAt, size),
        crcs: new Uint32Array(memory, crcsAt, blocks),
        found: new Float64Array(memory, 0, reads.length),
      })
      if (spare.length < 4) spare.push(memory)
      return result
    },
    async close() {
      closed = true
      for (const worker of workers ?? []) await worker.terminate()
      fail(new StateError('the threads that read were closed', 'Close a store when nothing is read any more'))
    },
  }
}

/** What a thread does. It sees nothing but its arguments: its text is all that the thread gets. */
function readLoop(
  { parentPort }: Pick<typeof import('node:worker_threads'), 'parentPort'>,
  { readSync }: Pick<typeof import('node:fs'), 'readSync'>,
  { crc32 }: Pick<typeof import('node:zlib'), 'crc32'>,
  fieldsOfRead: number,
): void {
  parentPort!.on('message', ({ id, reads, blockBytes, memory, crcsAt, bytesAt }: Task) => {
    const crcs = new Uint32Array(memory, crcsAt, (bytesAt - crcsAt) / 4)
    const found = new Float64Array(memory, 0, crcsAt / 8)
    try {
      for (let i = 0; i < reads.length; i += fieldsOfRead) {
        const [fd, position, length, offset, first, place] = reads.subarray(i, i + fieldsOfRead) as unknown as number[]
        const bytes = new Uint8Array(memory, bytesAt + offset!, length)
        let done = 0
        while (done < length!) {
          const count = readSync(fd!, bytes, done, length! - done, position! + done)
          if (count === 0) break
          done += count
        }
        found[place!] = done
        for (let at = 0, block = first!; at < done; at += blockBytes, block++)
          crcs[block] = crc32(bytes.subarray(at, Math.min(done, at + blockBytes)))
      }
      parentPort!.postMessage({ id } satisfies Answer)
    } catch (error) {
      parentPort!.postMessage({ id, message: (error as Error).message } satisfies Answer)
    }
  })
}

const source = `(${readLoop.toString()})(require('node:worker_threads'), require('node:fs'), require('node:zlib'), ${fields})`
