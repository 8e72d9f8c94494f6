import { type Attribute, builder, type Graph, type Node, type ValueInfo } from '@imago/onnx'
import type { FloatType, RuleContext } from './rule.js'

/** One step of a recurrent layer as a graph; by vjp its gradient. */
export interface Cell {
  /** Its inputs: `states`, `steps` and whatever it takes from around (`outer`). Outputs: the new states, then `y`. */
  readonly graph: Graph
  readonly states: readonly string[]
  /** New states, in their order. */
  readonly next: readonly string[]
  /** Inputs that have a value for every step. */
  readonly steps: readonly string[]
  /** The step's output. */
  readonly y: string
  /** Inputs that are the same in all steps, by their names in the graph around. */
  readonly outer: ReadonlyMap<string, string>
  /** What gradients are wanted of, beyond the states. */
  readonly wrt: readonly string[]
  /** Values of each step that the caller wants as well. */
  readonly wanted: readonly string[]
}

export interface ScanGradient {
  /** Gradients of the first states. */
  readonly states: readonly string[]
  /** Gradients of `wrt`, a value for every step. */
  readonly steps: ReadonlyMap<string, string>
  /** `wanted`, a value for every step. */
  readonly values: ReadonlyMap<string, string>
}

/**
 * The gradient through all steps of a cell: one Scan runs the cell again and keeps what its gradient needs, another runs the
 * gradient of the cell from the last step to the first. Each step's value is a row of axis 0.
 */
export function scanGradient(
  ctx: RuleContext,
  cell: Cell,
  given: {
    readonly states: readonly string[]
    readonly steps: ReadonlyMap<string, string>
    readonly dStates: readonly string[]
    readonly dY: string
    readonly isReverse: boolean
    readonly type: FloatType
  },
): ScanGradient {
  const { b } = ctx
  const program = ctx.differentiate(cell.graph, {
    wrt: [...cell.states, ...cell.wrt],
    seeds: [...cell.next, cell.y],
  })
  const { forward, backward } = program
  const cotangents = new Set(Object.values(program.cotangents))
  const isOuter = (name: string): boolean => cell.outer.has(name)
  const read = backward.inputs.map(({ name }) => name).filter((name) => !cotangents.has(name) && !isOuter(name))
  const kept = [...new Set([...read.filter((name) => !cell.steps.includes(name)), ...cell.wanted])]
  const direction = given.isReverse ? 1 : 0

  const types = new Map([...forward.inputs, ...forward.outputs, ...forward.values].map((info) => [info.name, info]))
  const typed = (name: string): ValueInfo => bare(types.get(name) ?? { name, type: given.type })
  const forwardBody = body(
    ctx,
    forward,
    cell.outer,
    [...cell.states, ...cell.steps].map(typed),
    [...cell.next, ...kept],
    given.type,
  )
  const steps = cell.steps.map((name) => given.steps.get(name)!)
  const first = b.ops(
    'Scan',
    [...given.states, ...steps],
    scanAttributes(forwardBody, steps.length, kept.length, direction),
    { outputs: cell.states.length + kept.length },
  )
  const values = new Map(kept.map((name, i) => [name, first[cell.states.length + i]!]))
  for (const name of cell.steps) values.set(name, given.steps.get(name)!)

  const dNext = cell.next.map((name) => program.cotangents[name]!)
  const ins = [program.cotangents[cell.y]!, ...read]
  const backwardBody = body(
    ctx,
    backward,
    cell.outer,
    [...dNext, ...ins].map((name) => bare(backward.inputs.find((info) => info.name === name) ?? typed(name))),
    [...cell.states, ...cell.wrt].map((name) => program.gradients[name]!),
    given.type,
  )
  const rows = [given.dY, ...read.map((name) => values.get(name)!)]
  const second = b.ops(
    'Scan',
    [...given.dStates, ...rows],
    scanAttributes(backwardBody, rows.length, cell.wrt.length, 1 - direction),
    { outputs: cell.states.length + cell.wrt.length },
  )
  return {
    states: second.slice(0, cell.states.length),
    steps: new Map(cell.wrt.map((name, i) => [name, second[cell.states.length + i]!])),
    values,
  }
}

function scanAttributes(
  inner: Graph,
  inputs: number,
  outputs: number,
  direction: number,
): { readonly [name: string]: Attribute | Graph | number | readonly number[] } {
  return {
    body: inner,
    num_scan_inputs: inputs,
    scan_input_directions: new Array<number>(inputs).fill(direction),
    scan_output_directions: new Array<number>(outputs).fill(direction),
  }
}

/** Sizes are the business of the graph around. */
function bare({ name, type }: ValueInfo): ValueInfo {
  return { name, ...(type && { type }) }
}

/** A graph as the body of a Scan: names of its own (no name may occur twice, around or inside), outputs in the order given. */
function body(
  ctx: RuleContext,
  graph: Graph,
  outer: ReadonlyMap<string, string>,
  inputs: readonly ValueInfo[],
  outputs: readonly string[],
  type: FloatType,
): Graph {
  const prefix = ctx.b.unique('step')
  const inside = (name: string): string => (name === '' ? '' : (outer.get(name) ?? `${prefix}/${name}`))
  const nodes: Node[] = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(inside),
    outputs: node.outputs.map(inside),
  }))
  // An output that is an input, or is put out twice, needs a copy.
  const taken = new Set(inputs.map(({ name }) => inside(name)))
  const made = outputs.map((name) => {
    const value = inside(name)
    const isFree = !taken.has(value) && graph.nodes.some((node) => node.outputs.includes(name))
    taken.add(value)
    if (isFree) return value
    const copy = `${prefix}/copy ${nodes.length}`
    const b = builder()
    b.op('Identity', [value], {}, { outputs: [copy] })
    nodes.push(...b.graph().nodes)
    return copy
  })
  const initializers = new Map(
    [...graph.initializers]
      .filter(([name]) => !outer.has(name))
      .map(([name, value]) => [inside(name), { ...value, name: inside(name) }] as const),
  )
  return {
    name: prefix,
    nodes,
    inputs: inputs.map((info) => ({ ...info, name: inside(info.name) })),
    outputs: made.map((name) => ({ name, type })),
    initializers,
    values: [],
  }
}
