import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { rng } from '@imago/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fromStore, openStore } from '../../src/index.js'
import { bundled, type Ended, ran } from './child.js'
import { contents, encodings, fill, rows } from './problem.js'

let root: string
let script: string
let whole: { [name: string]: string }
const size = ['300', '64', 'float32']
const data = rows(300)

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-store-processes-'))
  script = await bundled('writer-child.ts', join(root, 'child.mjs'))
  await fill({ folder: join(root, 'whole'), data, encoding: encodings.float32!, shardRows: 64, batch: 16 })
  whole = await contents(join(root, 'whole'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const writer = (folder: string): string[] => [process.execPath, script, folder, ...size]

/** Whatever a writer left: what a reader finds is whole, and right. */
async function readable(folder: string): Promise<number> {
  const there = await readdir(folder).catch((): string[] => [])
  if (!there.includes('store.json')) return 0
  const store = await openStore(folder)
  try {
    await store.verify()
    if (store.rows > 0) await fromStore(store)(data.rows(Uint32Array.from({ length: store.rows }, (_, i) => i)))
    return store.rows
  } finally {
    await store.close()
  }
}

describe('a writer that is killed', () => {
  test('at any moment: the next goes on, and the finished store is the undisturbed one to the last bit', async () => {
    const folder = join(root, 'killed')
    const random = rng(46)
    let kills = 0
    for (let rows = 0; ; kills++) {
      const most = 1 + random.integer(4)
      const delay = random.uniform() * 3
      const { code, signal, errors } = await ran(writer(folder), (lines, kill) => {
        if (lines >= most) setTimeout(kill, delay)
      })
      const now = await readable(folder)
      expect(now).toBeGreaterThanOrEqual(rows)
      rows = now
      if (signal === 'SIGKILL') continue
      expect(code, errors).toBe(0)
      break
    }
    expect(kills).toBeGreaterThan(2)
    expect(await contents(folder)).toEqual(whole)
  })

  const traced =
    spawnSync('strace', ['-V']).status === 0 && spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0
  if (!traced) console.log('skipped: kill -9 at each syscall needs strace, which is not here or may not trace')
  test.skipIf(!traced)('at a write, a sync, a rename, an unlink, of any number', async () => {
    const folder = join(root, 'traced')
    const random = rng(47)
    const calls = { pwrite64: 12, fsync: 14, rename: 7, unlink: 6, ftruncate: 2, link: 1, mkdir: 1 }
    let kills = 0
    for (const [call, most] of Object.entries(calls)) {
      // Each call by itself, where there are few; else some of them.
      const numbers = most <= 2 ? Array.from({ length: most }, (_, i) => i + 1) : [1, 2, 3 + random.integer(most - 2)]
      for (const number of numbers) {
        if (number === 1) await rm(folder, { recursive: true, force: true })
        const inject = `inject=${call}:signal=SIGKILL:when=${number}`
        // strace ends by the signal by which its program was ended.
        const strace = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', inject]
        if ((await ran([...strace, ...writer(folder)])).signal === 'SIGKILL') kills++
        await readable(folder)
      }
      const last = await ran(writer(folder))
      expect(last.code, last.errors).toBe(0)
      expect(await contents(folder), `killed at ${call}`).toEqual(whole)
    }
    expect(kills).toBeGreaterThan(9)
  })
})

describe('two writers', () => {
  test('the second is refused with pid and host of the first', async () => {
    const folder = join(root, 'two')
    let second: Promise<Ended> | undefined
    const first = await ran(writer(folder), (lines, kill) => {
      if (lines < 1 || second) return
      second = ran(writer(folder))
      void second.then(kill)
    })
    const { code, errors } = await second!
    // The first may have been at its end by then; else it was in the way.
    if (code === 0) expect(first.code).toBe(0)
    else expect(errors).toMatch(new RegExp(`in use by process \\d+ on ${hostname()}`))
    await ran(writer(folder))
    expect(await contents(folder)).toEqual(whole)
  })

  test('the lock of a process that is no more is taken over; one of another machine is not', async () => {
    const folder = join(root, 'stale')
    await mkdir(folder)
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    const lock = (host: string): string => JSON.stringify({ pid, host, nonce: 'x' })
    await writeFile(join(folder, 'store.lock'), lock('elsewhere'))
    const refused = await ran(writer(folder))
    expect(refused.errors).toMatch(new RegExp(`in use by process ${pid} on elsewhere`))
    await writeFile(join(folder, 'store.lock'), lock(hostname()))
    expect((await ran(writer(folder))).code).toBe(0)
    expect(await contents(folder)).toEqual(whole)
  })
})

describe('a disk that is full', () => {
  const mounted = join(tmpdir(), `imago-store-small-${process.pid}`)
  const mount = (): boolean => {
    spawnSync('mkdir', ['-p', mounted])
    return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mounted]).status === 0
  }
  const small = process.platform === 'linux' && mount()
  if (!small) console.log('skipped: a full disk needs a tmpfs of its own, which may not be mounted here')
  afterAll(() => {
    if (small) spawnSync('umount', [mounted])
    spawnSync('rmdir', [mounted])
  })

  test.skipIf(!small)(
    'is an error that says so, at any phase; what was there stays, and it goes on when there is space',
    async () => {
      const folder = join(mounted, 'store')
      const filler = join(mounted, 'filler')
      const random = rng(58)
      let [errors, last] = [0, 0]
      // The whole store does not fit: each time a little more room is left.
      for (const room of [2000, 9000, 14_000, 21_000, 30_000]) {
        await writeFile(
          filler,
          new Uint8Array(Math.max(0, 61_440 - (await used(folder)) - room - random.integer(3000))),
        ).catch(() => {})
        const { code, errors: said } = await ran(writer(folder))
        if (code !== 0) {
          errors++
          expect(said).toMatch(/could not be (written|made).*ENOSPC|ENOSPC/)
          expect(said).not.toMatch(/at async.*node_modules/)
        }
        await rm(filler, { force: true })
        const now = await readable(folder)
        expect(now).toBeGreaterThanOrEqual(last)
        last = now
      }
      expect(errors).toBeGreaterThan(2)
      const { code, errors: said } = await ran(writer(folder))
      expect(code, said).toBe(0)
      expect(await contents(folder)).toEqual(whole)
    },
  )

  test.skipIf(process.platform === 'win32')('a file that may not grow (ulimit -f) is one too', async () => {
    const folder = join(root, 'limited')
    // In blocks of 512 or 1024 bytes, as the shell will have it: below a shard of 64 · 84 bytes either way.
    const limited = ['sh', '-c', `trap '' XFSZ; ulimit -f 4; exec "$@"`, 'sh', ...writer(folder)]
    const { code, errors } = await ran(limited)
    expect(code).not.toBe(0)
    expect(errors).toMatch(/could not be written \(EFBIG/)
    await readable(folder)
    expect((await ran(writer(folder))).code).toBe(0)
    expect(await contents(folder)).toEqual(whole)
  })
})

test.skipIf(process.platform === 'win32')(
  'a reader sees whole shards and no others, whenever its writer is held',
  async () => {
    const folder = join(root, 'both')
    const seen: number[] = []
    const child = spawn(process.execPath, [script, folder, ...size], { env: { ...process.env, IMAGO_NATIVE: 'off' } })
    const ended = once(child, 'close')
    for await (const _ of child.stdout) {
      child.kill('SIGSTOP')
      seen.push(await readable(folder))
      child.kill('SIGCONT')
    }
    expect((await ended)[0]).toBe(0)
    expect(seen[0]).toBeLessThan(300)
    for (const rows of seen) expect(rows % 64 === 0 || rows === 300).toBe(true)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    expect(await readable(folder)).toBe(300)
  },
)

async function used(folder: string): Promise<number> {
  const { stdout } = spawnSync('du', ['-sB1', folder], { encoding: 'utf8' })
  return Number(stdout.split('\t')[0] ?? 0) || 0
}
