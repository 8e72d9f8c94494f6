import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Frames, frameWindows, normaliseFrames } from '../../src/index.js'

const values = fc.double({ min: -1e3, max: 1e3, noNaN: true })
const framesOf = (bands: number): fc.Arbitrary<Frames> =>
  fc
    .integer({ min: 0, max: 6 })
    .chain((length) => fc.array(values, { minLength: length * bands, maxLength: length * bands }))
    .map((data) => ({ length: data.length / bands, bands, data: Float32Array.from(data) }))
const groups = fc
  .integer({ min: 1, max: 4 })
  .chain((bands) => fc.array(framesOf(bands), { minLength: 1, maxLength: 4 }))

describe('normaliseFrames', () => {
  it('gives each band mean 0 and deviation 1 over the group, by a map that is the same for all its frames', () => {
    fc.assert(
      fc.property(groups, (group) => {
        const { bands } = group[0]!
        const out = normaliseFrames(group)
        const column = (list: readonly Frames[], band: number): number[] =>
          list.flatMap(({ data }) => [...data].filter((_, i) => i % bands === band))
        for (let band = 0; band < bands; band++) {
          const [x, y] = [column(group, band), column(out, band)]
          if (x.length === 0) continue
          const mean = x.reduce((a, b) => a + b) / x.length
          const deviation = Math.sqrt(x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length)
          for (let i = 0; i < x.length && deviation > 1e-3; i++) expect(y[i]).toBeCloseTo((x[i]! - mean) / deviation, 4)
          if (x.every((v) => v === x[0])) expect(y.every((v) => v === 0)).toBe(true)
        }
      }),
    )
  })

  it('refuses a group of other bands', () => {
    const frames = (bands: number): Frames => ({ length: 1, bands, data: new Float32Array(bands) })
    expect(() => normaliseFrames([frames(2), frames(3)])).toThrow(/2 bands/)
    expect(normaliseFrames([])).toEqual([])
  })
})

describe('frameWindows', () => {
  it('is each frame with its neighbours, the ends repeated, and never one of another utterance', () => {
    const cases = fc.tuple(groups, fc.nat(4), fc.nat(4)).filter(([group]) => group.some(({ length }) => length > 0))
    fc.assert(
      fc.property(cases, ([group, before, after]) => {
        const { bands } = group[0]!
        const data = frameWindows({ utterances: group.map((frames) => ({ frames })), before, after })
        const expected = group.flatMap((frames) =>
          Array.from({ length: frames.length }, (_, t) =>
            Array.from({ length: before + 1 + after }, (_, i) => {
              const at = Math.max(0, Math.min(frames.length - 1, t + i - before))
              return [...frames.data.slice(at * bands, (at + 1) * bands)]
            }).flat(),
          ),
        )
        expect(data.length).toBe(expected.length)
        // From behind, so that rows are taken by index.
        const order = Uint32Array.from({ length: data.length }, (_, i) => data.length - 1 - i)
        const { ids, inputs, labels } = data.rows(order)
        expect(ids).toEqual(order)
        expect(labels).toBeUndefined()
        expect(inputs.input!.dims).toEqual([data.length, (before + 1 + after) * bands])
        expect([...(inputs.input!.data as Float32Array)]).toEqual(expected.reverse().flat())
        expect(data.starts).toHaveLength(group.length + 1)
        for (const [u, { length }] of group.entries()) expect(data.starts[u + 1]! - data.starts[u]!).toBe(length)
      }),
    )
  })

  it('keeps labels beside their frames; −1 where an utterance has none', () => {
    const frames = { length: 2, bands: 1, data: Float32Array.of(5, 6) }
    const data = frameWindows({
      utterances: [{ frames, labels: [3, 4] }, { frames }],
      before: 1,
      after: 0,
      classes: 9,
      input: 'x',
    })
    expect(data.classes).toBe(9)
    const { labels, inputs } = data.rows(Uint32Array.of(3, 0))
    expect([...labels!]).toEqual([-1, 3])
    expect([...(inputs.x!.data as Float32Array)]).toEqual([5, 6, 5, 5])
  })

  it('refuses labels for other than every frame, other bands, no frames, and rows that are none', () => {
    const frames = { length: 2, bands: 1, data: Float32Array.of(5, 6) }
    const around = { before: 0, after: 0 }
    expect(() => frameWindows({ utterances: [{ frames, labels: [1] }], ...around })).toThrow(/utterances\[0\]\.labels/)
    expect(() => frameWindows({ utterances: [{ frames }, { frames: { ...frames, bands: 2 } }], ...around })).toThrow(
      /utterances\[1\]\.frames/,
    )
    expect(() => frameWindows({ utterances: [], ...around })).toThrow(/at least one frame/)
    expect(() => frameWindows({ utterances: [{ frames }], before: -1, after: 0 })).toThrow(/before/)
    expect(() => frameWindows({ utterances: [{ frames }], ...around }).rows(Uint32Array.of(2))).toThrow(/indices/)
  })
})
