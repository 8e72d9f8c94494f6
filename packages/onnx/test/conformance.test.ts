import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { decode, encode, inferShapes, validateGraph } from '../src/index.js'

/** The models of ONNX's own backend tests, packed by `onnx.backend.test`; found through IMAGO_DATA_DIR. */
const name = join('conformance', 'onnx-backend-tests.tar.gz')
const root = process.env.IMAGO_DATA_DIR
const archive = root === undefined ? undefined : [join(root, name), join(root, 'data', name)].find(existsSync)
if (archive === undefined)
  console.log(
    `skipped: the ONNX conformance models (${root === undefined ? 'IMAGO_DATA_DIR is not set' : `no ${name} in it`})`,
  )

describe.skipIf(archive === undefined)('the models of ONNX’s backend tests', () => {
  test('come back byte for byte, are valid, and their shapes do not contradict each other', () => {
    const wrong: string[] = []
    let count = 0
    for (const [path, bytes] of filesIn(gunzipSync(readFileSync(archive!)))) {
      if (!path.endsWith('.onnx')) continue
      count++
      const model = decode(bytes, { name: path })
      if (Buffer.compare(encode(model), bytes) !== 0) wrong.push(path)
      validateGraph(model.graph)
      inferShapes(model.graph)
    }
    expect(wrong).toEqual([])
    expect(count).toBeGreaterThan(1000)
  })
})

/** The regular files of a tar archive; long names come in a header of their own (pax `path`, or GNU `L`). */
function* filesIn(tar: Uint8Array): Generator<[path: string, bytes: Uint8Array]> {
  const text = (from: number, length: number): string =>
    new TextDecoder().decode(tar.subarray(from, from + length)).replace(/\0.*$/s, '')
  let longName: string | undefined
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12).trim(), 8)
    const type = text(at + 156, 1)
    const body = at + 512
    if (type === 'L') longName = text(body, size)
    else if (type === 'x') longName = /\d+ path=(.*)\n/.exec(text(body, size))?.[1] ?? longName
    else {
      const prefix = text(at + 345, 155)
      const path = longName ?? (prefix === '' ? text(at, 100) : `${prefix}/${text(at, 100)}`)
      longName = undefined
      if (type === '0' || type === '') yield [path, tar.slice(body, body + size)]
    }
    at = body + Math.ceil(size / 512) * 512
  }
}
