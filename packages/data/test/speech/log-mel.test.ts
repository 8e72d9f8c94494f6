import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { logMel } from '../../src/index.js'

interface Case {
  readonly rate: number
  readonly bands: number
  readonly low: number
  readonly high: number
  readonly window: number
  readonly step: number
  readonly emphasis: number
  readonly values: readonly number[]
}

const golden = JSON.parse(readFileSync(new URL('../golden/log-mel.json', import.meta.url), 'utf8')) as {
  readonly samples: readonly number[]
  readonly cases: readonly Case[]
}

describe('logMel', () => {
  it.each(golden.cases)('is what NumPy computes: $bands bands at $rate Hz', (one) => {
    const features = logMel({
      rate: one.rate,
      bands: one.bands,
      from: one.low,
      to: one.high,
      window: (1000 * one.window) / one.rate,
      step: (1000 * one.step) / one.rate,
      preEmphasis: one.emphasis,
    })(Int16Array.from(golden.samples))
    expect(features.length * features.bands).toBe(one.values.length)
    expect(features.bands).toBe(one.bands)
    one.values.forEach((value, i) => {
      expect(features.data[i]).toBeCloseTo(value, 5)
    })
  })

  it('gives whole frames only: none for a signal shorter than one, one for a signal as long', () => {
    const features = logMel({ rate: 8000 })
    expect([0, 1, 199, 200, 279, 280].map((length) => features(new Int16Array(length)).length)).toEqual([
      0, 0, 0, 1, 1, 2,
    ])
    // Silence has energy 0, and log(0 + 1) = 0.
    expect([...features(new Int16Array(200)).data]).toEqual(new Array(40).fill(0))
  })

  it('refuses what has no bands, no samples or no frequencies', () => {
    expect(() => logMel({ rate: 0 })).toThrow(/rate/)
    expect(() => logMel({ rate: 8000, bands: 0 })).toThrow(/bands/)
    expect(() => logMel({ rate: 8000, to: 4001 })).toThrow(/Hz/)
    expect(() => logMel({ rate: 8000, from: 5000 })).toThrow(/Hz/)
    expect(() => logMel({ rate: 8000, step: 0 })).toThrow(/step/)
  })
})
