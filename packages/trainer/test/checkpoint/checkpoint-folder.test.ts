import { createHash } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FormatError, StateError, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkpointFolder, type TrainingState } from '../../src/index.js'
import { bits } from '../problem.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imago-checkpoint-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

function stateAt(step: number): TrainingState {
  return {
    config: { model: 'ü', nested: { list: [1, null, 'x'] } },
    step,
    epoch: 2,
    batch: 3,
    rng: { key: [1, 4294967295], position: 12 },
    meter: { rows: 5, loss: 0.1, parts: { soft: 1 / 3 }, rate: 1e-3 },
    optimizer: { name: 'adamw', step },
    history: [{ kind: 'epoch', epoch: 1, epochs: 9, step: 4, loss: 0.5, parts: {}, rate: 1 }],
    tensors: {
      'parameter/w': tensor('float32', [2, 3], Float32Array.of(step, -0, 1e-45, 3.4e38, 1 / 3, -7)),
      'slot/m/w': tensor('float64', [1], Float64Array.of(Math.PI)),
      count: tensor('int64', [], BigInt64Array.of(-(2n ** 63n))),
      empty: tensor('float32', [0, 4], new Float32Array(0)),
      __proto: tensor('uint8', [3], Uint8Array.of(1, 2, 255)),
    },
  }
}

const files = async (): Promise<string[]> => (await readdir(folder)).sort()
const nameOf = (step: number): string => `checkpoint-${String(step).padStart(15, '0')}.imago`

describe('checkpoint files', () => {
  it('give back every bit and every field', async () => {
    await checkpointFolder(folder).save(stateAt(7))
    const { state, warnings } = (await checkpointFolder(folder).load())!
    const { tensors, ...rest } = stateAt(7)
    expect(warnings).toEqual([])
    expect({ ...state, tensors: {} }).toEqual({ ...rest, tensors: {} })
    expect(bits(state.tensors)).toEqual(bits(tensors))
    for (const name in tensors) {
      expect(state.tensors[name]!.type).toBe(tensors[name]!.type)
      expect(state.tensors[name]!.dims).toEqual(tensors[name]!.dims)
    }
  })

  it('are there two at a time, newest by step, and nothing else is left', async () => {
    const store = checkpointFolder(folder)
    expect(await store.load()).toBeUndefined()
    for (const step of [3, 7, 12, 100]) await store.save(stateAt(step))
    expect(await files()).toEqual([nameOf(12), nameOf(100)])
    expect((await store.load())!.state.step).toBe(100)
  })

  it('are refused after any change of one bit, and after any cut; the one before is used, with a warning', async () => {
    const store = checkpointFolder(folder)
    await store.save(stateAt(1))
    await store.save(stateAt(2))
    const path = join(folder, nameOf(2))
    const whole = await readFile(path)
    const damaged = fc.oneof(
      fc.nat(whole.length * 8 - 1).map((bit) => {
        const copy = Buffer.from(whole)
        copy[bit >> 3]! ^= 1 << (bit & 7)
        return copy
      }),
      fc.nat(whole.length - 1).map((length) => whole.subarray(0, length)),
      fc.constant(Buffer.alloc(whole.length)),
      fc.constant(Buffer.concat([whole, Buffer.of(0)])),
    )
    await fc.assert(
      fc.asyncProperty(damaged, async (bytes) => {
        await writeFile(path, bytes)
        const { state, warnings } = (await checkpointFolder(folder).load())!
        expect(state.step).toBe(1)
        expect(warnings).toHaveLength(1)
        expect(warnings[0]).toContain(nameOf(2))
      }),
      { numRuns: 200 },
    )
  })

  it('that are damaged go when the run has passed on; the good one before stays until then', async () => {
    const store = checkpointFolder(folder)
    for (const step of [1, 2, 9]) await store.save(stateAt(step))
    await writeFile(join(folder, nameOf(9)), 'rubbish')
    const again = checkpointFolder(folder)
    expect((await again.load())!.state.step).toBe(2)
    await again.save(stateAt(5))
    expect(await files()).toEqual([nameOf(2), nameOf(5)])
  })

  it('are all damaged: an error that says what to do', async () => {
    await writeFile(join(folder, nameOf(4)), new Uint8Array(100))
    await expect(checkpointFolder(folder).load()).rejects.toThrow(FormatError)
    await expect(checkpointFolder(folder).load()).rejects.toThrow(/none of 1 checkpoint files can be read; delete them/)
  })

  it('with a right digest over a wrong header are refused all the same', async () => {
    await checkpointFolder(folder).save(stateAt(4))
    const whole = await readFile(join(folder, nameOf(4)))
    const length = whole.readUInt32LE(12)
    const forge = async (change: (header: string) => string): Promise<string> => {
      const header = Buffer.from(change(whole.subarray(16, 16 + length).toString()))
      const front = Buffer.from(whole.subarray(0, 16))
      front.writeUInt32LE(header.length, 12)
      const body = Buffer.concat([front, header, whole.subarray(16 + length, -32)])
      await writeFile(join(folder, nameOf(4)), Buffer.concat([body, createHash('sha256').update(body).digest()]))
      return checkpointFolder(folder)
        .load()
        .then(
          () => 'accepted',
          (error: Error) => error.message,
        )
    }
    expect(await forge((header) => header)).toBe('accepted')
    expect(await forge((header) => `${header} `)).toBe('accepted')
    for (const change of [
      (header: string) => header.replace('"step":4', '"step":1e308'),
      (header: string) => header.replace('"step":4', '"step":5'),
      (header: string) => header.replace('[2,3]', '[2,4]'),
      (header: string) => header.replace('[2,3]', '[1e15,1e15]'),
      (header: string) => header.replace('[2,3]', '[-2,-3]'),
      (header: string) => header.replace('"float64"', '"string"'),
      (header: string) => header.replace('"slot/m/w"', '"parameter/w"'),
      (header: string) => header.replace('"config"', '"__proto__"'),
      (header: string) => header.slice(1),
      () => 'null',
    ])
      expect(await forge(change)).toMatch(/none of 1 checkpoint files/)
    expect(({} as { model?: string }).model).toBeUndefined()
  })

  it('cannot be written: StateError, what was there is intact, and it goes on once there is space', async (context) => {
    if (process.platform === 'win32') return context.skip('modes of folders mean nothing here')
    const store = checkpointFolder(folder)
    await store.save(stateAt(1))
    if (process.getuid?.() === 0) {
      // Root writes anywhere: a name that is taken by a folder's dangling loop stands for the disk's refusal.
      await symlink(nameOf(2), join(folder, 'loop'))
      const broken = checkpointFolder(join(folder, 'loop'))
      await expect(broken.save(stateAt(2))).rejects.toThrow(StateError)
    } else {
      await chmod(folder, 0o500)
      await expect(store.save(stateAt(2))).rejects.toThrow(StateError)
      await chmod(folder, 0o700)
    }
    expect((await store.load())!.state.step).toBe(1)
    await store.save(stateAt(2))
    expect((await store.load())!.state.step).toBe(2)
    expect((await files()).filter((name) => name.endsWith('.partial'))).toEqual([])
  })

  it('a kill left three of are two again once the newest is read', async () => {
    const store = checkpointFolder(folder)
    for (const step of [10, 20]) await store.save(stateAt(step))
    const oldest = await readFile(join(folder, nameOf(10)))
    await store.save(stateAt(30))
    await writeFile(join(folder, nameOf(10)), oldest)
    expect((await checkpointFolder(folder).load())?.state.step).toBe(30)
    expect(await files()).toEqual([nameOf(20), nameOf(30)])
  })

  it('leave no trace of a writer that was killed', async () => {
    const store = checkpointFolder(folder)
    await store.save(stateAt(1))
    await writeFile(join(folder, `.${nameOf(2)}.4242-0.partial`), 'half')
    expect((await checkpointFolder(folder).load())!.state.step).toBe(1)
    expect(await files()).toEqual([nameOf(1)])
  })
})
