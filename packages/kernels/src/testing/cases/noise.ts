import { drawFor, normals } from '../draw.js'
import { elements } from '../judge.js'
import type { ParityTable } from '../parity-case.js'

const streams: readonly (readonly [number, number, number])[] = [
  [0, 0, 0],
  [0xdeadbeef, 0x12345678, 7],
  [1, 0xffffffff, 2 ** 32 - 1],
]

export const dropoutMaskTable: ParityTable = {
  cases: [1, 7, 8, 9, 63, 1000, 40_001].flatMap((n) =>
    [0, 0.2, 0.5, 1e-5, 0.99998].flatMap((probability) =>
      streams.map((stream) => ({
        name: `n=${n} p=${probability} stream ${stream.join(',')}`,
        make: () => ({ buffers: [new Float32Array(n).fill(Number.NaN)], scalars: [n, probability, ...stream] }),
      })),
    ),
  ),
  judge: (_, want, got) => [elements('out', want.buffers[0] as Float32Array, got.buffers[0] as Float32Array, 'exact')],
  outputs: [0],
}

const inPlace = [false, true]

export const dropoutTable: ParityTable = {
  cases: [1, 9, 127, 1000, 40_001].flatMap((n) =>
    [0, 0.2, 0.5, 0.99998].flatMap((probability) =>
      inPlace.map((same) => {
        const name = `n=${n} p=${probability}${same ? ' in place' : ''}`
        return {
          name,
          make: () => {
            const x = normals(drawFor(name), n)
            x[n - 1] = Number.POSITIVE_INFINITY
            return {
              buffers: [x, same ? x : new Float32Array(n).fill(Number.NaN)],
              scalars: [n, probability, ...streams[1]!],
            }
          },
        }
      }),
    ),
  ),
  judge: (_, want, got) => [
    elements('out', want.buffers[1] as Float32Array, got.buffers[1] as Float32Array, 'oneRounding'),
  ],
  outputs: [1],
}

export const gaussianNoiseTable: ParityTable = {
  cases: [1, 3, 63, 1000, 40_001].flatMap((n) =>
    [0, 1, 1e-3].flatMap((sigma) =>
      streams.flatMap((stream) =>
        ['alone', 'added', 'in place'].map((way) => {
          const name = `n=${n} σ=${sigma} stream ${stream.join(',')} ${way}`
          return {
            name,
            make: () => {
              const x = way === 'alone' ? null : normals(drawFor(name), n)
              const out = way === 'in place' ? x : new Float32Array(n).fill(Number.NaN)
              return { buffers: [x, out], scalars: [n, sigma, ...stream] }
            },
          }
        }),
      ),
    ),
  ),
  judge: (call, want, got) => {
    const x = call.buffers[0] as Float32Array | null
    const scale = (out: number, i: number): number => Math.abs(out) + Math.abs(x?.[i] ?? 0)
    return [elements('out', want.buffers[1] as Float32Array, got.buffers[1] as Float32Array, 'elementwise', scale)]
  },
  outputs: [1],
}

const images: readonly (readonly [number, number, number, number])[] = [
  [1, 1, 1, 1],
  [3, 1, 5, 4],
  [17, 1, 28, 28],
  [4, 3, 9, 13],
]

export const jitterTable: ParityTable = {
  cases: images.flatMap((shape) =>
    [0, 1, 2, 40].flatMap((shift) =>
      streams.map((stream) => {
        const name = `${shape.join('×')} shift ${shift} stream ${stream.join(',')}`
        const count = shape.reduce((a, b) => a * b)
        return {
          name,
          make: () => ({
            buffers: [normals(drawFor(name), count), new Float32Array(count).fill(Number.NaN)],
            scalars: [...shape, shift, ...stream],
          }),
        }
      }),
    ),
  ),
  judge: (_, want, got) => [elements('out', want.buffers[1] as Float32Array, got.buffers[1] as Float32Array, 'exact')],
  outputs: [1],
}
