import { blockConvolutions, builder, type Graph } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import { encodeGraph } from '../model-source.js'
import { openLoadable } from '../session.js'

/** Channels in a block, by instruction set: AVX-512 and ARM 16, AVX and AVX2 8, others may have 4. */
const candidates = [16, 8, 4]
let tried: Promise<number | undefined> | undefined

/**
 * How many channels this processor's blocked convolutions take, found by trying: small convolutions, depthwise and dense, must come out as
 * the plain ones do. Undefined where no block does, or ONNX Runtime has no such ops. Once a process.
 */
export function blockSize(): Promise<number | undefined> {
  tried ??= find()
  return tried
}

async function find(): Promise<number | undefined> {
  const plain = await outputs(trial)
  for (const block of candidates) {
    const got = await outputs(blockConvolutions(trial, { block })).catch(() => undefined)
    if (got?.every((values, i) => values.every((value, j) => Math.abs(value - plain[i]![j]!) < 1e-4))) return block
  }
  return undefined
}

/** 32 channels of 17 × 16 pixels: enough for the table to choose blocks, of a size that no block fits by chance. */
const trial = graphOf()

function graphOf(): Graph {
  const b = builder()
  const numbers = (dims: readonly number[], scale: number): ReturnType<typeof tensor<'float32'>> => {
    const count = dims.reduce((product, dim) => product * dim, 1)
    const wave = Float32Array.from({ length: count }, (_, i) => scale * Math.sin(1 + i * 0.7 + (i % 13)))
    return tensor('float32', dims, wave)
  }
  const x = b.initializer('x', numbers([2, 32, 17, 16], 1))
  const add = (name: string, dims: readonly number[], attributes: { [name: string]: number | number[] }): void => {
    const weight = b.initializer(name, numbers(dims, 0.1))
    b.output(b.op('Conv', [x, weight], { pads: [1, 1, 1, 1], ...attributes }), 'float32')
  }
  add('depthwise', [32, 1, 3, 3], { group: 32 })
  add('strided', [32, 1, 3, 3], { group: 32, strides: [2, 2] })
  add('dense', [32, 32, 3, 3], {})
  return b.graph()
}

async function outputs(graph: Graph): Promise<Float32Array[]> {
  const session = await openLoadable('a trial of blocked convolutions', encodeGraph(graph), { threads: 1 })
  try {
    const results = await session.run({})
    return session.outputs.map(({ name }) => results[name]!.data as Float32Array)
  } finally {
    await session.dispose()
  }
}
