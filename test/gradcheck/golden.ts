import { readFileSync } from 'node:fs'
import { vjp } from '@imago/autodiff'
import { attribute, builder, float, floats, type Graph, type Shape } from '@imago/onnx'
import { elementCount, isType, type Tensor, tensor } from '@imago/tensor'
import { expect } from 'vitest'
import { runner, runProgram } from './run-graph.js'

interface StoredAttribute {
  readonly int?: number
  readonly ints?: readonly number[]
  readonly float?: number
  readonly floats?: readonly number[]
  readonly string?: string
}

interface StoredConstant {
  readonly type: 'int64' | 'int32' | 'float32' | 'bool'
  readonly dims: readonly number[]
  readonly data: readonly number[]
}

/** One op as PyTorch differentiated it in float64; see test/golden/autodiff/make.py. */
export interface GoldenRow {
  readonly op: string
  readonly domain: string
  readonly title: string
  readonly attributes: { readonly [name: string]: StoredAttribute }
  readonly inputs: { readonly [name: string]: Shape }
  /** All inputs of the node, where they are more than the differentiated ones. */
  readonly operands?: readonly string[]
  readonly constants?: { readonly [name: string]: StoredConstant }
  /** Inputs are the filled numbers · span[0] + span[1]. */
  readonly span?: readonly [number, number]
  readonly opset?: number
  /** Which output of the op it is about. Default 0. */
  readonly result?: number
  readonly runs: readonly {
    readonly N: number
    readonly K: number
    readonly output: readonly number[]
    readonly gradients: { readonly [input: string]: readonly number[] }
  }[]
}

/** What make.py wrote under this name. */
export function readGolden(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../golden/autodiff/${name}.json`, import.meta.url), 'utf8'))
}

/** The rows of one golden file. */
export function goldenRows(family: string): readonly GoldenRow[] {
  return (readGolden(family) as { rows: readonly GoldenRow[] }).rows
}

/** ‖got − expected‖ / ‖expected‖ */
export function distance(got: Tensor, expected: readonly number[]): number {
  if (!isType(got, 'float32')) throw new Error(`expected float32, got ${got.type}`)
  return Math.hypot(...expected.map((value, i) => value - got.data[i]!)) / Math.max(1e-30, Math.hypot(...expected))
}

/** The key of the rule that a row checks. */
export function goldenKey(row: GoldenRow): string {
  return row.domain === '' ? row.op : `${row.domain}.${row.op}`
}

/** The numbers that make.py feeds: a hash of the position, exact in float32. */
export function filled(dims: readonly number[], salt: number): Tensor<'float32'> {
  const data = Float32Array.from({ length: elementCount(dims) }, (_, i) => {
    let h = (Math.imul(i, 2654435761) + Math.imul(salt, 40503) + 12345) >>> 0
    h = Math.imul(h ^ (h >>> 15), 2246822519) >>> 0
    h = (h ^ (h >>> 13)) >>> 0
    return ((h % 65521) - 32760) / 8192
  })
  return tensor('float32', dims, data)
}

function stored({ type, dims, data }: StoredConstant): Tensor {
  if (type === 'int64') return tensor(type, dims, BigInt64Array.from(data, BigInt))
  if (type === 'int32') return tensor(type, dims, Int32Array.from(data))
  return type === 'bool' ? tensor(type, dims, Uint8Array.from(data)) : tensor(type, dims, Float32Array.from(data))
}

function graphOf(row: GoldenRow): Graph {
  const b = builder()
  for (const [name, shape] of Object.entries(row.inputs)) b.input(name, 'float32', shape)
  const attributes = Object.entries(row.attributes).map(([name, value]) => {
    if (value.float !== undefined) return [name, float(value.float)] as const
    if (value.floats !== undefined) return [name, floats(value.floats)] as const
    return [name, attribute(value.int ?? value.ints ?? value.string ?? '')] as const
  })
  for (const [name, value] of Object.entries(row.constants ?? {})) b.initializer(name, stored(value))
  const operands = row.operands ?? Object.keys(row.inputs)
  const runs = row.runs[0]!.output
  const result = row.result ?? 0
  const outputs = [...new Array<string>(result).fill(''), 'y']
  const made = b.ops(row.op, operands, Object.fromEntries(attributes), { domain: row.domain, outputs })[result]!
  // Some ops are newer than the shapes that inferShapes knows; the rank is enough.
  b.output(
    made,
    'float32',
    runs.map((_, axis) => (row.runs.every((run) => run.output[axis] === runs[axis]) ? runs[axis]! : `size ${axis}`)),
  )
  return b.graph()
}

/** ‖got − expected‖ / ‖expected‖ of every gradient at every size, one pair of graphs for all sizes. */
export async function checkGolden(row: GoldenRow, tolerance: number): Promise<void> {
  const program = vjp(graphOf(row), { wrt: Object.keys(row.inputs) })
  const forward = await runner(program.forward, row.opset ?? (row.op === 'Gelu' ? 20 : 17))
  const backward = await runner(program.backward, row.opset)
  try {
    for (const run of row.runs) {
      const inputs = Object.fromEntries(
        Object.entries(row.inputs).map(([name, shape], i) => {
          const dims = shape.map((dim) => (typeof dim === 'number' ? dim : run[dim as 'N' | 'K']))
          const made = filled(dims, i + 1)
          const [scale, shift] = row.span ?? [1, 0]
          return [
            name,
            tensor(
              'float32',
              dims,
              made.data.map((value) => value * scale + shift),
            ),
          ] as const
        }),
      )
      const output = program.outputs[0]!
      const dY = filled(run.output, 99)
      const made = await runProgram(program, forward, backward, inputs, () => ({ [output]: dY }))
      expect(made.outputs[output]!.dims).toEqual(run.output)
      for (const [name, expected] of Object.entries(run.gradients)) {
        const got = made.gradients[name]!
        expect(got.dims, `dims of the gradient of ${name}`).toEqual(inputs[name]!.dims)
        expect(distance(got, expected), `${name} at N = ${run.N}`).toBeLessThan(tolerance)
      }
    }
  } finally {
    await forward.release()
    await backward.release()
  }
}
