import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromFloat16 } from '@imago/kernels'
import { type Targets, type Tensor, tensor } from '@imago/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dataset, fillStore, fromStore, openStore } from '../../src/index.js'

const rows = 10
const x = Float32Array.from({ length: rows * 2 }, (_, i) => i / 4)
const inputs = { a: tensor('float32', [rows, 1], x.slice(0, rows)), b: tensor('float32', [rows, 2], x) }
const data = dataset({ inputs })
const logit = (id: number, c: number): number => id - c / 2
const targets: Targets = async ({ ids }) => ({
  logits: tensor(
    'float32',
    [ids.length, 3],
    Float32Array.from({ length: 3 * ids.length }, (_, i) => logit(ids[Math.floor(i / 3)]!, i % 3)),
  ),
})
let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-store-older-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

/** A store as an earlier imago left it. */
async function laid(name: string): Promise<string> {
  const { files } = JSON.parse(await readFile(new URL(`golden/${name}.json`, import.meta.url), 'utf8')) as {
    files: { [file: string]: string }
  }
  const folder = join(root, name)
  await mkdir(folder)
  for (const [file, bytes] of Object.entries(files)) await writeFile(join(folder, file), Buffer.from(bytes, 'base64'))
  return folder
}

describe('a store of format 1', () => {
  test('is read, and still knows its rows by all of their inputs', async () => {
    const store = await openStore(await laid('format-1'))
    expect([store.format, store.rows, store.complete]).toEqual([1, rows, true])
    const batch = data.rows(Uint32Array.of(7, 0, 9))
    const { logits } = await fromStore(store)(batch)
    expect([logits!.type, logits!.dims]).toEqual(['float16', [3, 3]])
    const wide = fromFloat16({ x: logits as Tensor<'float16'> }).data
    expect([...wide]).toEqual([7, 0, 9].flatMap((id) => [0, 1, 2].map((c) => logit(id, c))))
    const other = {
      ...batch.inputs,
      b: tensor('float32', [3, 2], (batch.inputs.b!.data as Float32Array).slice().fill(1)),
    }
    await expect(fromStore(store)({ ids: batch.ids, inputs: other })).rejects.toThrow(
      /are not those that its teacher saw/,
    )
    await store.verify()
    await store.close()
  })

  test('that was begun is finished in its format, byte by byte as it would have been', async () => {
    const [begun, whole] = [await laid('format-1-begun'), join(root, 'format-1')]
    const options = {
      folder: begun,
      data,
      targets,
      classes: 3,
      teacher: 'v1',
      encoding: { kind: 'full' },
      shardRows: 4,
    } as const
    const seen: number[] = []
    for await (const report of fillStore({ ...options, batch: 4 })) seen.push(report.rows)
    expect(seen).toEqual([4, 8, 10])
    for (const file of ['store.json', 'shard-000000.bin', 'shard-000001.bin', 'shard-000002.bin'])
      expect(await readFile(join(begun, file)), file).toEqual(await readFile(join(whole, file)))
  })
})
