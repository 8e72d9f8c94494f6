import { ArgumentError } from './errors.js'
import { type Block, philox } from './philox.js'

/** Where a generator stands: plain data, safe in JSON. */
export interface RngState {
  /** The 64-bit key, as two words. */
  readonly key: readonly [number, number]
  /** The index of the next 32-bit word; four words are one Philox block. */
  readonly position: number
}

/** A stretch of Philox blocks handed to a kernel, which computes the same words as `Rng` would. */
export interface RngBlocks {
  readonly key: readonly [number, number]
  /** Index of the first block: the counter's lower 64 bits. */
  readonly block: number
}

/**
 * A counter-based random number generator: seed and counter are its whole state. `split` makes independent generators
 * without moving this one, so that each use (epoch 3's shuffle, layer 2's dropout) has its own and resuming needs no replay.
 */
export interface Rng {
  /** A whole number in [0, 2³²). */
  uint32(): number
  /** A number in [0, 1), a multiple of 2⁻³². */
  uniform(): number
  /** A standard normal number (Box–Muller, two words each). */
  normal(): number
  /** A whole number in [0, bound), without bias. */
  integer(bound: number): number
  /** Set `count` blocks aside for a kernel and move behind them. */
  reserve(count: number): RngBlocks
  /** An independent generator named by `label`; the same label gives the same generator. */
  split(label: string | number): Rng
  state(): RngState
}

/** A generator from a seed: a whole number in [0, 2⁶⁴). */
export function rng(seed: number | bigint): Rng {
  if (typeof seed === 'number' && !(Number.isSafeInteger(seed) && seed >= 0))
    throw new ArgumentError('rng', 'seed', 'a whole number ≥ 0 (a bigint above 2⁵³)', seed)
  const wide = BigInt(seed)
  if (wide < 0n || wide >= 1n << 64n) throw new ArgumentError('rng', 'seed', 'in [0, 2⁶⁴)', seed)
  return generator({ key: [Number(wide & 0xffffffffn), Number(wide >> 32n)], position: 0 })
}

/**
 * The generator that `state()` described.
 * @throws ArgumentError for what is no state (one may come from a file)
 */
export function restoreRng(state: RngState): Rng {
  const words = Array.isArray(state?.key) && state.key.length === 2 ? state.key : []
  const isKey = words.length === 2 && words.every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32)
  if (!isKey) throw new ArgumentError('restoreRng', 'state.key', 'two words in [0, 2³²)', state?.key)
  if (!(Number.isSafeInteger(state.position) && state.position >= 0))
    throw new ArgumentError('restoreRng', 'state.position', 'a whole number ≥ 0', state.position)
  return generator(state)
}

function generator(state: RngState): Rng {
  const [k0, k1] = state.key
  let position = state.position
  let at = -1
  let words: Block = [0, 0, 0, 0]

  const uint32 = (): number => {
    const block = Math.floor(position / 4)
    if (block !== at) {
      words = philox(counterOf(block), k0, k1)
      at = block
    }
    return words[position++ % 4]!
  }
  const uniform = (): number => uint32() * 2 ** -32

  return {
    uint32,
    uniform,
    normal: () => Math.sqrt(-2 * Math.log((uint32() + 0.5) * 2 ** -32)) * Math.cos(2 * Math.PI * uniform()),
    integer(bound) {
      if (!(Number.isInteger(bound) && bound > 0 && bound <= 2 ** 32))
        throw new ArgumentError('Rng.integer', 'bound', 'a whole number in [1, 2³²]', bound)
      const limit = 2 ** 32 - (2 ** 32 % bound)
      for (;;) {
        const word = uint32()
        if (word < limit) return word % bound
      }
    },
    reserve(count) {
      if (!(Number.isSafeInteger(count) && count >= 0))
        throw new ArgumentError('Rng.reserve', 'count', 'a whole number ≥ 0', count)
      const block = Math.ceil(position / 4)
      position = (block + count) * 4
      return { key: [k0, k1], block }
    },
    split: (label) => generator({ key: childKey(k0, k1, label), position: 0 }),
    state: () => ({ key: [k0, k1], position }),
  }
}

/** The numbers 0 … count−1 in random order (Fisher–Yates). */
export function permutation(random: Rng, count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = random.integer(i + 1)
    const kept = order[i]!
    order[i] = order[j]!
    order[j] = kept
  }
  return order
}

function counterOf(block: number): Block {
  return [block >>> 0, Math.floor(block / 2 ** 32), 0, 0]
}

/** Children live in the half of the counter space that no generator's own words use (last word 1). */
function childKey(k0: number, k1: number, label: string | number): [number, number] {
  const text = typeof label === 'number' ? `#${label}` : label
  const [c0, c1] = philox([fnv1a(text, 0x811c9dc5), fnv1a(text, 0x01234567), text.length, 1], k0, k1)
  return [c0, c1]
}

function fnv1a(text: string, basis: number): number {
  let hash = basis
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
