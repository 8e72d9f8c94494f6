import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Numbers cross between processes as files of raw little-endian words, a file a tensor. */
export function writeNumbers(folder, name, data) {
  writeFileSync(join(folder, `${name}.bin`), new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
}

export function readNumbers(folder, name, Type = Float32Array) {
  const bytes = readFileSync(join(folder, `${name}.bin`))
  return new Type(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

/** Reproducible numbers, uniform with mean 0 and the standard deviation `scale` (mulberry32). */
export function noise(seed, count, scale) {
  let state = seed >>> 0
  const width = scale * Math.sqrt(12)
  return Float32Array.from({ length: count }, () => width * (next() - 0.5))

  function next() {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The largest difference of two arrays over the largest magnitude in the second. */
export function apart(ours, theirs) {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY
  let largest = 0
  let gap = 0
  for (let i = 0; i < ours.length; i++) {
    if (!Number.isFinite(ours[i]) || !Number.isFinite(theirs[i])) return Number.POSITIVE_INFINITY
    largest = Math.max(largest, Math.abs(theirs[i]))
    gap = Math.max(gap, Math.abs(ours[i] - theirs[i]))
  }
  return gap === 0 ? 0 : gap / largest
}

/** The upper halves of float32 numbers, rounded to nearest even: bfloat16. */
export function toBfloat16(data) {
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length)
  return Uint16Array.from(words, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16)
}
