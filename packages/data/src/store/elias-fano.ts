import { readBits, writeBits } from './bits.js'

/**
 * k different classes of n, ascending, in a number of bits that k and n alone decide (Elias 1974, Fano 1971): the lower l = ⌊log₂(n/k)⌋ bits of
 * each as they are, the upper ones in unary. At most 2 bits a class above the least that is possible, ⌈log₂ (n choose k)⌉; and as every row is as long as the
 * next, a row is found without a table.
 */
export function eliasFanoBits(k: number, n: number): number {
  if (k === n) return 0
  const l = lowBits(k, n)
  return k * l + k + ((n - 1) >>> l) + 1
}

/** Write ascending classes from bit `at` on, into bytes that are 0 there. */
export function writeEliasFano(bytes: Uint8Array, at: number, classes: ArrayLike<number>, n: number): void {
  const k = classes.length
  if (k === n) return
  const l = lowBits(k, n)
  const mask = (1 << l) - 1
  // The low bits may be more than a write takes.
  const upper = Math.max(0, l - 16)
  const unary = at + k * l
  for (let i = 0; i < k; i++) {
    const c = classes[i]!
    if (l > 0) writeBits(bytes, at + i * l, c & mask & 0xffff, Math.min(l, 16))
    if (upper > 0) writeBits(bytes, at + i * l + 16, (c & mask) >>> 16, upper)
    const one = unary + (c >>> l) + i
    bytes[one >>> 3] = bytes[one >>> 3]! | (1 << (one & 7))
  }
}

/** Read k classes of n from bit `at` on into `classes` from `to` on. False for bits that no classes are written as. */
export function readEliasFano(
  bytes: Uint8Array,
  at: number,
  k: number,
  n: number,
  classes: Int32Array,
  to: number,
): boolean {
  if (k === n) {
    for (let i = 0; i < k; i++) classes[to + i] = i
    return true
  }
  const l = lowBits(k, n)
  const unary = at + k * l
  const end = unary + k + ((n - 1) >>> l) + 1
  let i = 0
  for (let bit = unary; bit < end; bit++) {
    if ((bytes[bit >>> 3]! & (1 << (bit & 7))) === 0) continue
    if (i === k) return false
    let low = l > 0 ? readBits(bytes, at + i * l, Math.min(l, 16)) : 0
    if (l > 16) low |= readBits(bytes, at + i * l + 16, l - 16) << 16
    const c = ((bit - unary - i) << l) | low
    if (c >= n || (i > 0 && c <= classes[to + i - 1]!)) return false
    classes[to + i++] = c
  }
  return i === k
}

function lowBits(k: number, n: number): number {
  return Math.floor(Math.log2(n / k))
}
