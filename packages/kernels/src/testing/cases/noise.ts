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
