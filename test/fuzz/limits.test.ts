import { spawnSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Builder, builder, encode, type Model } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import { describe, expect, it } from 'vitest'

/** Hostile files, read in a process of their own: refused (or read) with less than 64 MiB more memory, whatever they claim. */
const work = mkdtempSync(join(tmpdir(), 'imago-limits-'))
const script = fileURLToPath(new URL('limits.mjs', import.meta.url))
const limit = 64 * 2 ** 20

interface Outcome {
  readonly code: string
  readonly milliseconds: number
  readonly bytes: number
}

function outcome(bytes: Uint8Array): Outcome {
  const path = join(work, 'hostile.onnx')
  writeFileSync(path, bytes)
  const ran = spawnSync(process.execPath, ['--expose-gc', script, path], { encoding: 'utf8', timeout: 120_000 })
  expect(ran.status, ran.stderr).toBe(0)
  return JSON.parse(ran.stdout) as Outcome
}

function modelOf(write: (b: Builder) => void): Model {
  const b = builder()
  write(b)
  const graph = b.graph()
  return { irVersion: 8, opsets: new Map([['', 17]]), producer: '', graph, metadata: new Map(), functions: [] }
}

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]

/** Graph in attribute in node in graph, 20,000 deep: 234 kB. */
function nested(): Uint8Array {
  const heads: number[][] = []
  let size = 0
  for (let i = 0; i < 60_001; i++) {
    const field = i === 60_000 ? 7 : [6, 5, 1][i % 3]!
    const head = [field * 8 + 2, ...varint(size)]
    heads.push(head)
    size += head.length
  }
  return Uint8Array.from([8, 8, 0x42, 2, 0x10, 17, ...heads.reverse().flat()])
}

/** An initializer that says these dims over four bytes. */
function lying(...dims: bigint[]): Uint8Array {
  const model = modelOf((b) => {
    b.output(b.op('Identity', [b.initializer('w', tensor('float32', [1], Float32Array.of(1)))]), 'float32')
  })
  const initializers = new Map(model.graph.initializers)
  const sizes = dims.map(Number)
  initializers.set('w', { ...initializers.get('w')!, dims: sizes })
  return encode({ ...model, graph: { ...model.graph, initializers } })
}

const outside = (...entries: [string, string][]): Uint8Array => {
  const model = modelOf((b) => {
    b.output(b.op('Identity', [b.initializer('w', tensor('float32', [1], Float32Array.of(1)))]), 'float32')
  })
  const initializers = new Map(model.graph.initializers)
  const { raw: _, ...kept } = initializers.get('w')!
  const location = entries.find(([key]) => key === 'location')?.[1] ?? ''
  initializers.set('w', { ...kept, external: { location, offset: 0, entries } })
  return encode({ ...model, graph: { ...model.graph, initializers } })
}

const cyclic = modelOf((b) => {
  const x = b.input('x', 'float32', ['N', 4])
  b.op('Add', [x, 'second'], {}, { outputs: ['first'] })
  b.output(b.op('Relu', ['first'], {}, { outputs: ['second'] }), 'float32')
})

const chain = modelOf((b) => {
  let value = b.input('x', 'float32', ['N', 4])
  for (let i = 0; i < 20_000; i++) value = b.op('Neg', [value])
  b.output(value, 'float32')
})

const named = modelOf((b) => {
  const x = b.input('__proto__', 'float32', ['N', 4])
  b.output(b.op('Relu', [x], {}, { outputs: ['n'.repeat(1_000_000)] }), 'float32')
})

const refused = ['ERR_FORMAT', 'ERR_UNSUPPORTED', 'ERR_NOT_FOUND', 'ERR_ARGUMENT', 'ERR_SHAPE']

describe.skipIf(process.platform !== 'linux')('a hostile model takes less than 64 MiB', () => {
  it.each([
    ['20,000 graphs inside each other', nested()],
    ['2⁴⁰ × 2⁴⁰ elements', lying(2n ** 40n, 2n ** 40n)],
    ['a terabyte in 200 bytes', lying(2n ** 38n)],
    ['a length of 2⁶³', Uint8Array.from([0x3a, ...new Array<number>(8).fill(0xff), 0x7f])],
    ['two gigabytes that are not there', Uint8Array.from([0x3a, ...varint(2 ** 31 - 1), 1, 2, 3])],
    ['data outside of its folder', outside(['location', '../../etc/passwd'])],
    ['data in an endless device', outside(['location', '/dev/zero'])],
    ['data behind a petabyte', outside(['location', 'hostile.onnx'], ['offset', '1125899906842624'])],
    ['nodes in a circle', encode(cyclic)],
  ])('%s: refused', (_what, bytes) => {
    const { code, bytes: more } = outcome(bytes)
    expect(refused).toContain(code)
    expect(more).toBeLessThan(limit)
  })

  // No weights to train, so that it is read and not refused, or refused as a student alone.
  it.each([
    ['a name of a megabyte beside __proto__', encode(named)],
    ['20,000 nodes in one chain', encode(chain)],
  ])('%s: read', (_what, bytes) => {
    const { code, bytes: more } = outcome(bytes)
    expect(['read', ...refused]).toContain(code)
    expect(more).toBeLessThan(2 * limit)
  })
})
