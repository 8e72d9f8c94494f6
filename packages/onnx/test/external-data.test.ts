import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { link, mkdir, mkdtemp, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rng, tensor } from '@imago/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  builder,
  constantOf,
  decode,
  encode,
  loadExternalData,
  type Model,
  mlp,
  readModel,
  tensorOf,
  writeModel,
} from '../src/index.js'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imago-onnx-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const small = mlp([20, 30, 3], { rng: rng(5) })
const formatError = expect.objectContaining({ code: 'ERR_FORMAT' })

describe('writeModel and readModel', () => {
  test('one file: what encode gives, and nothing else in the folder', async () => {
    const own = await mkdtemp(join(folder, 'one-'))
    await writeModel(join(own, 'm.onnx'), small)
    expect(await readdir(own)).toEqual(['m.onnx'])
    expect(new Uint8Array(await readFile(join(own, 'm.onnx')))).toEqual(encode(small))
    expect(encode(await readModel(join(own, 'm.onnx')))).toEqual(encode(small))
  })

  test('above the threshold weights go to a second file, aligned, and come back', async () => {
    const own = await mkdtemp(join(folder, 'two-'))
    const path = join(own, 'm.onnx')
    await writeModel(path, small, { externalThreshold: 0 })
    const bare = decode(new Uint8Array(await readFile(path)))
    const { external } = bare.graph.initializers.get('fc1.weight')!
    expect(external).toMatchObject({ offset: 0, length: 2400 })
    expect(external!.location).toMatch(/^m\.onnx\.[0-9a-f]{16}\.data$/)
    expect(() => tensorOf(bare.graph.initializers.get('fc1.weight')!)).toThrow(/loadExternalData/)
    const back = await readModel(path)
    expect(encode(back)).toEqual(encode(small))

    // Another version in its place leaves no data file behind that nothing names.
    await writeModel(path, mlp([20, 30, 3], { rng: rng(6) }), { externalThreshold: 0 })
    expect((await readdir(own)).length).toBe(2)
    await writeModel(path, mlp([400, 30, 300], { rng: rng(6) }), { externalThreshold: 0 })
    const offsets = [...decode(new Uint8Array(await readFile(path))).graph.initializers.values()].map(
      (c) => c.external?.offset,
    )
    expect(offsets.filter((offset) => offset !== undefined && offset % 4096 !== 0)).toEqual([])
    expect(offsets.filter((offset) => offset !== undefined).length).toBeGreaterThan(2)
  })

  test('a folder that is not there: nothing is written', async () => {
    await expect(writeModel(join(folder, 'none', 'm.onnx'), small)).rejects.toThrow(/cannot be written \(ENOENT\)/)
    expect(existsSync(join(folder, 'none'))).toBe(false)
  })

  test('data that a model still names is kept, though it was not loaded', async () => {
    const own = await mkdtemp(join(folder, 'kept-'))
    const path = join(own, 'm.onnx')
    await writeModel(path, small, { externalThreshold: 0 })
    const names = await readdir(own)
    await writeModel(path, decode(new Uint8Array(await readFile(path))), { externalThreshold: 0 })
    expect(await readdir(own)).toEqual(names)
    expect(encode(await readModel(path))).toEqual(encode(small))
  })

  test('two writers at once leave one whole model', async () => {
    const own = await mkdtemp(join(folder, 'race-'))
    const path = join(own, 'm.onnx')
    const models = [1, 2, 3, 4].map((seed) => mlp([400, 300, 30], { rng: rng(seed) }))
    await Promise.all(models.map((model) => writeModel(path, model)))
    expect(await readdir(own)).toEqual(['m.onnx'])
    const written = encode(await readModel(path))
    expect(models.some((model) => Buffer.from(encode(model)).equals(written))).toBe(true)
  })

  test('a file beyond what protobuf holds is refused before it is read', async () => {
    const path = join(folder, 'sparse.onnx')
    const file = await open(path, 'w')
    await file.truncate(2 ** 31)
    await file.close()
    await expect(readModel(path)).rejects.toThrow(/2147483648 bytes; an \.onnx file holds at most 2147483647/)
    await rm(path)
  })

  test('paths that are no models', async () => {
    await expect(readModel(join(folder, 'missing.onnx'))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    await expect(readModel(folder)).rejects.toThrow(/is a folder/)
    await writeFile(join(folder, 'empty.onnx'), '')
    await expect(readModel(join(folder, 'empty.onnx'))).rejects.toThrow(/an empty file/)
    await writeFile(join(folder, 'page.onnx'), '<html>404</html>')
    await expect(readModel(join(folder, 'page.onnx'))).rejects.toThrow(/page\.onnx.*an HTML or XML page/)
  })

  test.skipIf(process.platform === 'win32')('pipes and devices are refused at once', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe')])
    await expect(readModel(join(folder, 'pipe'))).rejects.toThrow(/device or pipe/)
    await expect(readModel('/dev/zero')).rejects.toThrow(/device or pipe/)
  })
})

/** A model with one float32 tensor [4] whose bytes are said to be elsewhere. */
function pointing(location: string, ...more: [string, string][]): Model {
  const entries: [string, string][] = [['location', location], ...more]
  const graph = builder().graph()
  const weight = { name: 'w', type: 'float32', dims: [4], external: { location, offset: 0, entries } } as const
  const model: Model = {
    irVersion: 8,
    opsets: new Map([['', 17]]),
    producer: '',
    metadata: new Map(),
    functions: [],
    graph: { ...graph, initializers: new Map([['w', weight]]) },
  }
  return decode(encode(model)) // what the entries say is read again
}

describe('loadExternalData', () => {
  let inside = ''
  beforeAll(async () => {
    inside = join(folder, 'inside')
    await mkdir(join(inside, 'sub'), { recursive: true })
    await writeFile(join(folder, 'outside.data'), new Uint8Array(64))
    await writeFile(join(inside, 'w.data'), new Uint8Array(Float32Array.of(1, 2, 3, 4, 5).buffer))
    await writeFile(join(inside, 'sub', 'w.data'), new Uint8Array(16))
    await writeFile(join(inside, '%2e%2e'), new Uint8Array(16))
    await symlink(join(folder, 'outside.data'), join(inside, 'link.data'))
    await symlink(folder, join(inside, 'linked'))
    await writeFile(join(folder, 'twice.data'), new Uint8Array(16))
    await link(join(folder, 'twice.data'), join(inside, 'hard.data'))
    if (process.platform !== 'win32') execFileSync('mkfifo', [join(inside, 'pipe.data')])
  })

  test('reads the stretch that is named', async () => {
    const model = await loadExternalData(
      pointing('w.data', ['offset', '4'], ['length', '16'], ['checksum', 'x']),
      inside,
    )
    expect(tensorOf(model.graph.initializers.get('w')!).data).toEqual(Float32Array.of(2, 3, 4, 5))
    await expect(loadExternalData(pointing('./sub//w.data'), inside)).resolves.toBeDefined()
    await expect(loadExternalData(pointing('%2e%2e'), inside)).resolves.toBeDefined()
  })

  test('a model that names none is given back', async () => {
    expect(await loadExternalData(small, inside)).toBe(small)
  })

  test.each([
    '../outside.data',
    'sub/../../outside.data',
    '/etc/passwd',
    '/proc/self/environ',
    '/dev/zero',
    'C:\\x',
    'C:x',
    '\\\\srv\\x',
    '..\\outside.data',
    'w.data\0.txt',
    '.',
    '..',
    'link.data',
    'linked/outside.data',
    'hard.data',
    'pipe.data',
    'sub',
    'missing.data',
  ])('%j is refused', async (location) => {
    await expect(loadExternalData(pointing(location), inside)).rejects.toEqual(formatError)
  })

  test.each([
    ['offset', '-1'],
    ['offset', '8'],
    ['offset', '1e1'],
    ['offset', '0x10'],
    ['offset', '1125899906842624'],
    ['offset', '99999999999999999999'],
    ['length', '-1'],
    ['length', '15'],
    ['length', ''],
  ])('%s %j is refused', async (key, value) => {
    const load = async (): Promise<Model> => loadExternalData(pointing('w.data', [key, value]), inside)
    await expect(load()).rejects.toEqual(formatError)
  })

  test('keys that poison objects do not, the same key twice is refused', async () => {
    const model = await loadExternalData(pointing('w.data', ['__proto__', 'x'], ['constructor', 'y']), inside)
    expect(model.graph.initializers.get('w')!.raw).toHaveLength(16)
    expect(Object.keys(Object.prototype)).toEqual([])
    expect(() => pointing('w.data', ['offset', '0'], ['offset', '4'])).toThrow(/twice/)
  })

  test('data beside raw data is refused', () => {
    const model = pointing('w.data')
    const both = {
      ...constantOf('w', tensor('float32', [4], new Float32Array(4))),
      kept: { fields: [Uint8Array.of(112, 1)] },
    }
    const graph = { ...model.graph, initializers: new Map([['w', both]]) }
    expect(() => decode(encode({ ...model, graph }))).toThrow(/more than one place/)
  })
})
