import { decodeBfloat16, decodeFloat16 } from '../../half.js'
import { drawFor } from '../draw.js'
import { elements } from '../judge.js'
import type { ParityCase, ParityTable } from '../parity-case.js'

/** Every bit pattern of 16 bits. */
const patterns = (): Uint16Array => Uint16Array.from({ length: 65_536 }, (_, i) => i)

/** Every number of the type, and what lies halfway to the next, and the float32 neighbours of that. */
function corners(decode: (bits: number) => number): Float32Array {
  const word = new Uint32Array(1)
  const float = new Float32Array(word.buffer)
  const all: number[] = []
  for (let bits = 0; bits < 65_536; bits++) {
    all.push(decode(bits))
    float[0] = (decode(bits) + decode(bits + 1)) / 2
    const middle = word[0]!
    for (const near of [middle - 1, middle, middle + 1]) {
      word[0] = near
      all.push(float[0])
    }
  }
  return Float32Array.from(all)
}

function randomBits(name: string, n: number): Float32Array {
  const random = drawFor(name)
  return new Float32Array(Uint32Array.from({ length: n }, () => random.uint32()).buffer)
}

const types = [
  { name: 'float16', code: 1, decode: decodeFloat16 },
  { name: 'bfloat16', code: 2, decode: decodeBfloat16 },
]

const convertHalfCases: ParityCase[] = types.flatMap(({ name, code, decode }) => [
  {
    name: `from every ${name}`,
    make: () => ({ buffers: [new Float32Array(65_536), patterns()], scalars: [65_536, code, 0] }),
  },
  {
    name: `to ${name}: every number, every tie and its neighbours`,
    make: () => {
      const single = corners(decode)
      return { buffers: [single, new Uint16Array(single.length)], scalars: [single.length, code, 1] }
    },
  },
  ...[1, 7, 100, 50_001].flatMap((n) =>
    [0, 1].map((encode) => ({
      name: `${encode ? 'to' : 'from'} ${name}, random bits, n=${n}`,
      make: () => {
        const single = randomBits(`${name} ${n}`, n)
        return { buffers: [single, Uint16Array.from({ length: n }, (_, i) => i * 31)], scalars: [n, code, encode] }
      },
    })),
  ),
])

/** Bits, with one NaN for all: the sign and the payload of a NaN are nobody's business. */
function bitsOf(values: Float32Array | Uint16Array, isNaNBits: (bits: number) => boolean): Uint32Array {
  const bits =
    values instanceof Float32Array ? new Uint32Array(values.slice().buffer) : Uint32Array.from(values as Uint16Array)
  return bits.map((one) => (isNaNBits(one) ? 0xffffffff : one))
}

export const convertHalfTable: ParityTable = {
  cases: convertHalfCases,
  judge: ({ scalars }, want, got) => {
    const infinite = scalars[1] === 1 ? 0x7c00 : 0x7f80
    const single = (bits: number): boolean => (bits & 0x7fffffff) > 0x7f800000
    const half = (bits: number): boolean => (bits & 0x7fff) > infinite
    return [
      elements(
        'single',
        bitsOf(want.buffers[0] as Float32Array, single),
        bitsOf(got.buffers[0] as Float32Array, single),
        'exact',
      ),
      elements(
        'half',
        bitsOf(want.buffers[1] as Uint16Array, half),
        bitsOf(got.buffers[1] as Uint16Array, half),
        'exact',
      ),
    ]
  },
  outputs: [0, 1],
}
