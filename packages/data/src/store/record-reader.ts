import { readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { ArgumentError, FormatError } from '@imago/tensor'
import type { BlockReaders } from './block-readers.js'
import type { Layout, ShardEntry, StoreIdentity } from './manifest.js'
import type { OpenFiles } from './open-files.js'
import { headBytes, readExactly, type ShardTable } from './shard.js'

export interface RecordReader {
  /** Read records by place; `take` gets each with its position in `places`, in no order. */
  read(places: ArrayLike<number>, take: (position: number, bytes: Uint8Array, at: number) => void): Promise<void>
}

/** Blocks that follow on each other are read together up to so many bytes. */
const mostBytes = 2 ** 20
/** Reads at a time: as many as Node has threads for. More would only stand in the way of what else wants these, such as a student's step. */
const mostReads = 4

/**
 * So much is read without waiting, where the system has it in memory: a block then comes in a microsecond or a few, and to ask another thread for it
 * takes ten.
 */
const smallBytes = 2 ** 16
/** Runs that are read so in any case. */
const looked = 4

/** Rows that lie together in one shard. */
interface Run {
  readonly shard: number
  readonly firstBlock: number
  blocks: number
  /** Positions in `places`. */
  readonly wanted: number[]
}

export function recordReader(
  files: OpenFiles,
  { shardRows }: StoreIdentity,
  { rowBytes, blockRows }: Layout,
  shards: readonly ShardEntry[],
  tables: readonly ShardTable[],
  idOf: (place: number) => number,
  readers?: BlockReaders,
): RecordReader {
  const rows = shards.reduce((sum, entry) => sum + entry.rows, 0)
  const blockBytes = blockRows * rowBytes
  const scratch = new Uint8Array(smallBytes)
  const blockOf = (place: number): number => Math.floor((place % shardRows) / blockRows)

  function runsOf(places: ArrayLike<number>): Run[] {
    const order = Uint32Array.from({ length: places.length }, (_, i) => i).sort((a, b) => places[a]! - places[b]!)
    const runs: Run[] = []
    let last: Run | undefined
    for (const position of order) {
      const place = places[position]!
      if (!(Number.isInteger(place) && place >= 0 && place < rows))
        throw new ArgumentError('Store.read', 'places', `rows in [0, ${rows})`, place)
      const shard = Math.floor(place / shardRows)
      const block = blockOf(place)
      const next = last?.shard === shard ? block - last.firstBlock - last.blocks : Number.NaN
      if (last && next <= 0 && (next < 0 || (last.blocks + 1) * blockBytes <= mostBytes)) {
        if (next === 0) last.blocks++
        last.wanted.push(position)
      } else {
        last = { shard, firstBlock: block, blocks: 1, wanted: [position] }
        runs.push(last)
      }
    }
    return runs
  }

  /** Refuse the blocks of a run that are not what their writer wrote. */
  function check(
    where: string,
    { shard, firstBlock, blocks, wanted }: Run,
    crcOf: (block: number) => number,
    places: ArrayLike<number>,
  ) {
    const { crcs } = tables[shard]!
    for (let b = 0; b < blocks; b++) {
      if (crcOf(b) === crcs[firstBlock + b]) continue
      const from = shard * shardRows + (firstBlock + b) * blockRows
      const to = Math.min(from + blockRows, shard * shardRows + shards[shard]!.rows) - 1
      const place = wanted.map((i) => places[i]!).find((at) => at >= from && at <= to) ?? from
      throw new FormatError(
        where,
        `row ${place} (id ${idOf(place)}) is damaged: the CRC-32 of rows ${from} … ${to} is wrong; fill the store again`,
      )
    }
  }

  /** Where a run lies: its first row in the shard, its first byte in the file, its bytes. */
  function extentOf({ shard, firstBlock, blocks }: Run) {
    const from = firstBlock * blockRows
    const length = Math.min(blocks * blockRows, shards[shard]!.rows - from) * rowBytes
    return { from, position: headBytes + from * rowBytes, length }
  }

  async function readRun(
    run: Run,
    places: ArrayLike<number>,
    take: (i: number, bytes: Uint8Array, at: number) => void,
    atOnce: boolean,
  ): Promise<void> {
    const { shard, wanted } = run
    const { from, position, length } = extentOf(run)
    await files.use(shard, async (handle, where) => {
      const bytes =
        atOnce && length <= scratch.length
          ? readNow(handle.fd, where, position, scratch.subarray(0, length))
          : await readExactly(handle, where, position, length)
      check(where, run, (b) => crc32(bytes.subarray(b * blockBytes, (b + 1) * blockBytes)), places)
      for (const i of wanted) take(i, bytes, ((places[i]! % shardRows) - from) * rowBytes)
    })
  }

  /** All runs by the threads, whose files are held open until they are done. */
  async function readTogether(
    threads: BlockReaders,
    runs: readonly Run[],
    places: ArrayLike<number>,
    take: (i: number, bytes: Uint8Array, at: number) => void,
  ): Promise<void> {
    const handles = new Map<number, { readonly fd: number; readonly where: string }>()
    const held = async (at: number): Promise<void> => {
      const next = runs.findIndex(({ shard }, i) => i >= at && !handles.has(shard))
      if (next >= 0)
        return files.use(runs[next]!.shard, ({ fd }, where) => {
          handles.set(runs[next]!.shard, { fd, where })
          return held(next + 1)
        })
      let [offset, first] = [0, 0]
      const reads = runs.map((run) => {
        const { position, length } = extentOf(run)
        const read = { fd: handles.get(run.shard)!.fd, position, length, offset, first }
        offset += length
        first += run.blocks
        return read
      })
      await threads.read(reads, blockBytes, ({ bytes, crcs, found }) => {
        for (const [i, run] of runs.entries()) {
          const { position, length, offset: start, first: block } = reads[i]!
          const { where } = handles.get(run.shard)!
          if (found[i]! < length) throw new FormatError(where, `ends after ${position + found[i]!} bytes; it was cut`)
          check(where, run, (b) => crcs[block + b]!, places)
          const { from } = extentOf(run)
          for (const p of run.wanted) take(p, bytes, start + ((places[p]! % shardRows) - from) * rowBytes)
        }
      })
    }
    await held(0)
  }

  return {
    async read(places, take) {
      const runs = runsOf(places)
      if (readers && runs.length > 0) return readTogether(readers, runs, places, take)
      // The first few tell whether the system has the blocks in memory. Where the disk had to move, the rest is asked for all at once.
      const before = diskReads()
      let next = 0
      while (next < Math.min(looked, runs.length)) await readRun(runs[next++]!, places, take, true)
      const atOnce = next < runs.length && diskReads() === before
      const work = async (): Promise<void> => {
        while (next < runs.length) await readRun(runs[next++]!, places, take, atOnce)
      }
      // All are waited for, so that nothing reads any more when an error is told.
      const workers = atOnce ? 1 : Math.min(mostReads, runs.length - next)
      const done = await Promise.allSettled(Array.from({ length: workers }, work))
      const failed = done.find((one) => one.status === 'rejected')
      if (failed) throw failed.reason
    },
  }
}

/** How often this process made a disk read so far, where the system tells. */
function diskReads(): number {
  return process.resourceUsage().fsRead
}

/** Fill `bytes` from `position` on. @throws FormatError where the file ends before */
function readNow(fd: number, where: string, position: number, bytes: Uint8Array): Uint8Array {
  let done = 0
  while (done < bytes.length) {
    const read = readSync(fd, bytes, done, bytes.length - done, position + done)
    if (read === 0) throw new FormatError(where, `ends after ${position + done} bytes; it was cut`)
    done += read
  }
  return bytes
}
