import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { ArgumentError, FormatError, StateError } from '@imago/tensor'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { claimRunFolder, FolderInUse } from '../../src/index.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imago-run-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const config = { command: 'distill', temperature: 20, teacher: { sha256: 'ab' } }

/** The pid of a process that is no more. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  return child.pid!
}

describe('a run folder', () => {
  it('is made, given back, and taken again by the same run', async () => {
    const path = join(folder, 'a', 'b')
    const first = await claimRunFolder(path, config)
    expect(first.begun).toBe(false)
    await first.write('note.txt', 'hello')
    await first.release()
    await first.release()
    const second = await claimRunFolder(path, { teacher: { sha256: 'ab' }, temperature: 20, command: 'distill' })
    expect(second.begun).toBe(true)
    expect(new TextDecoder().decode(await second.read('note.txt'))).toBe('hello')
    expect(await second.read('other.txt')).toBeUndefined()
    await second.release()
    expect((await readdir(path)).sort()).toEqual(['note.txt', 'run.json'])
  })

  it('leaves nothing where nothing was written, unless it is to be kept', async () => {
    const path = join(folder, 'made')
    const first = await claimRunFolder(path, config)
    await first.release()
    expect(await readdir(folder)).toEqual([])
    const second = await claimRunFolder(path, config)
    await first.release()
    await expect(claimRunFolder(path, config)).rejects.toThrow(FolderInUse)
    await second.release({ keep: true })
    expect(await readdir(path)).toEqual(['run.json'])
  })

  it('refuses another run and names each difference', async () => {
    await (await claimRunFolder(folder, config)).release({ keep: true })
    const other = claimRunFolder(folder, { ...config, temperature: 4, seed: 1, teacher: { sha256: 'cd' } })
    await expect(other).rejects.toThrow(StateError)
    await expect(other).rejects.toThrow(
      /seed: nothing there, 1 here; teacher.sha256: "ab" there, "cd" here; temperature: 20 there, 4 here/,
    )
    await (await claimRunFolder(folder, config)).release()
  })

  it('refuses files that are no run, a broken marker and a path that is a file; all of them stay as they were', async () => {
    await writeFile(join(folder, 'thesis.tex'), 'years of work')
    await expect(claimRunFolder(folder, config)).rejects.toThrow(/no imago run \(thesis.tex\)/)
    expect(await readdir(folder)).toEqual(['thesis.tex'])
    await expect(claimRunFolder(join(folder, 'thesis.tex'), config)).rejects.toThrow(StateError)
    expect(await readFile(join(folder, 'thesis.tex'), 'utf8')).toBe('years of work')
    const broken = join(folder, 'broken')
    await mkdir(broken)
    await writeFile(join(broken, 'run.json'), '{"imago":')
    await expect(claimRunFolder(broken, config)).rejects.toThrow(FormatError)
  })

  it('is held by one at a time', async () => {
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => claimRunFolder(folder, config)))
    const won = all.filter((one) => one.status === 'fulfilled')
    expect(won).toHaveLength(1)
    const lost = all.find((one) => one.status === 'rejected')!
    expect(lost.reason.message).toContain(`in use by process ${process.pid} on ${hostname()}`)
    await won[0]!.value.release()
    await (await claimRunFolder(folder, config)).release()
  })

  it('is taken over from a process that is no more, or that had our number, and from half a lock', async () => {
    for (const lock of [
      JSON.stringify({ pid: await deadPid(), host: hostname() }),
      JSON.stringify({ pid: process.pid, host: hostname() }),
      '{"pid":12',
      '',
    ]) {
      for (let again = 0; again < 10; again++) {
        await writeFile(join(folder, 'run.lock'), lock)
        const all = await Promise.allSettled(Array.from({ length: 5 }, () => claimRunFolder(folder, config)))
        const won = all.filter((one) => one.status === 'fulfilled')
        expect(won).toHaveLength(1)
        await won[0]!.value.release({ keep: true })
      }
    }
    expect((await readdir(folder)).sort()).toEqual(['run.json'])
  })

  it('is not taken from another machine or from a process that lives', async () => {
    for (const lock of [
      { pid: 1, host: `not-${hostname()}` },
      { pid: process.ppid, host: hostname() },
    ]) {
      await writeFile(join(folder, 'run.lock'), JSON.stringify(lock))
      await expect(claimRunFolder(folder, config)).rejects.toThrow(`process ${lock.pid} on ${lock.host}`)
    }
  })

  it('writes nowhere else', async () => {
    const run = await claimRunFolder(folder, config)
    for (const name of ['../x', '/etc/x', 'a/b', '..', '.', '', 'a\\b'])
      await expect((async () => run.write(name, ''))()).rejects.toThrow(ArgumentError)
    await run.release()
  })
})

describe('metrics', () => {
  it('grow by lines, and go back to a step without doubling or losing a row', async () => {
    const run = await claimRunFolder(folder, config)
    const { metrics } = run
    for (const step of [1, 2, 3]) await metrics.append({ kind: 'epoch', step, text: 'a\nb' })
    await metrics.append({ kind: 'note' })
    await metrics.append({ task: 'other', step: 9 })
    await metrics.rewind(5, 'mine')
    expect((await metrics.rows()).map(({ step }) => step)).toEqual([1, 2, 3, undefined, 9])
    await metrics.rewind(5, 'other')
    await writeFile(metrics.path, '{"kind":"epoch","st', { flag: 'a' })
    await metrics.rewind(2)
    await metrics.append({ kind: 'epoch', step: 3, text: 'again' })
    expect(await metrics.rows()).toEqual([
      { kind: 'epoch', step: 1, text: 'a\nb' },
      { kind: 'epoch', step: 2, text: 'a\nb' },
      { kind: 'note' },
      { kind: 'epoch', step: 3, text: 'again' },
    ])
    await run.release()
  })
})
