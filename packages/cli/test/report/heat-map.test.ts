import { inflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { heatMap } from '../../src/report/heat-map.js'
import { png } from '../../src/report/png.js'

/** A PNG of 8-bit palette colours, read by the format's own description (W3C PNG, third edition). */
function pixelsOf(file: Buffer): { width: number; height: number; colours: string[] } {
  expect([...file.subarray(0, 8)]).toEqual([137, 80, 78, 71, 13, 10, 26, 10])
  const chunks = new Map<string, Buffer>()
  let at = 8
  while (at < file.length) {
    const length = file.readUInt32BE(at)
    const type = file.toString('latin1', at + 4, at + 8)
    const end = at + 8 + length
    expect(file.readUInt32BE(end)).toBe(crc(file.subarray(at + 4, end)))
    chunks.set(type, file.subarray(at + 8, end))
    at = end + 4
  }
  expect([...chunks.keys()]).toEqual(['IHDR', 'PLTE', 'IDAT', 'IEND'])
  const header = chunks.get('IHDR')!
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  expect([...header.subarray(8)]).toEqual([8, 3, 0, 0, 0])
  const palette = chunks.get('PLTE')!
  const rows = inflateSync(chunks.get('IDAT')!)
  expect(rows.length).toBe(height * (width + 1))
  const filters = Array.from({ length: height }, (_, y) => rows[y * (width + 1)])
  expect(new Set(filters)).toEqual(new Set([0]))
  const colours = Array.from({ length: width * height }, (_, i) => {
    const y = Math.floor(i / width)
    const index = rows[y * (width + 1) + 1 + (i % width)]!
    return [...palette.subarray(3 * index, 3 * index + 3)].join()
  })
  return { width, height, colours }
}

/** CRC-32 bit by bit (PNG, annex D). */
function crc(bytes: Uint8Array): number {
  let c = 0xffffffff
  for (const byte of bytes) {
    c ^= byte
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  }
  return (c ^ 0xffffffff) >>> 0
}

const pictureOf = (html: string): Buffer => Buffer.from(/base64,([^"]+)"/.exec(html)![1]!, 'base64')

describe('png', () => {
  it('holds the colours that it was given', () => {
    const file = png(3, 2, Uint8Array.of(0, 1, 2, 2, 1, 0), [
      [255, 0, 0],
      [0, 255, 0],
      [0, 0, 9],
    ])
    const [red, green, blue] = ['255,0,0', '0,255,0', '0,0,9']
    expect(pixelsOf(file)).toEqual({ width: 3, height: 2, colours: [red, green, blue, blue, green, red] })
  })
})

describe('heatMap', () => {
  const map = { title: 'a <b>', text: 'what & why.', size: 3, borders: [2] }

  it('is red above zero, blue below, white at zero; the variances do not set the scale', () => {
    const html = heatMap({ ...map, values: Float64Array.of(1e6, 2, -2, 2, 1e6, 0, -2, 0, 1e6) })
    const { colours } = pixelsOf(pictureOf(html))
    const [red, blue, white] = ['213,94,0', '0,114,178', '255,255,255']
    expect(colours).toEqual([red, red, blue, red, red, white, blue, white, red])
    expect(html).toContain('a &lt;b&gt;')
    expect(html).toContain('what &amp; why.')
    expect(html.match(/<line class="grid"/g)).toHaveLength(2)
  })

  it('is white where nothing varies, and where a value is none', () => {
    for (const value of [0, Number.NaN]) {
      const { colours } = pixelsOf(pictureOf(heatMap({ ...map, values: new Float64Array(9).fill(value) })))
      expect(new Set(colours)).toEqual(new Set(['255,255,255']))
    }
  })

  it('shows means of neighbours where a matrix is larger than the picture, in less than a megabyte', () => {
    const size = 1601
    const values = Float64Array.from({ length: size * size }, (_, i) => (i % size < 3 ? 1 : -1))
    const html = heatMap({ ...map, values, size })
    const { width, colours } = pixelsOf(pictureOf(html))
    expect(width).toBe(534)
    expect(colours.slice(0, 3)).toEqual(['213,94,0', '0,114,178', '0,114,178'])
    expect(html.length).toBeLessThan(1e6)
  })
})
