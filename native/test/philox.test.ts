import { describe, expect, test } from 'vitest'
import { loadAddon } from './addon.js'

const addon = loadAddon()

/**
 * Known answers of Philox 4x32-10 from the authors' Random123 (kat_vectors), for those that our counters can reach: zeros, and
 * the digits of π with the upper half of the counter cleared is not among them, so the first block of key 0 it is.
 */
const zeros = [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]

describe.skipIf(addon === null)('dropout_mask', () => {
  test.each(addon?.info().available ?? [])('%s: 16 bits an element, lower half of a word first', (isa) => {
    const own = addon!.info().isa
    addon!.setIsa(isa)
    try {
      zeros.forEach((word, k) => {
        for (const half of [0, 1]) {
          const bits = (word >>> (16 * half)) & 0xffff
          const mask = (t: number): number => {
            const out = new Float32Array(8)
            addon!.call('dropout_mask', [out], [8, t / 65536, 0, 0, 0])
            return out[2 * k + half]!
          }
          // Kept exactly where bits ≥ t, and scaled so that the mean stays.
          expect(mask(bits)).toBe(Math.fround(65536 / (65536 - bits)))
          expect(mask(bits + 1)).toBe(0)
        }
      })
    } finally {
      addon!.setIsa(own)
    }
  })
})
