import { inspectGradients } from '@imago/autodiff'
import {
  type Graph,
  type Model,
  normaliseOpset,
  readModel,
  topologicalSort,
  type ValueInfo,
  validateGraph,
} from '@imago/onnx'
import { elementCount, ShapeError, UnsupportedError } from '@imago/tensor'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { table } from '../terminal/table.js'

export function addInspect(program: Command, act: Act): void {
  program
    .command('inspect <model>')
    .description("a model's inputs, outputs, ops and parameters, and whether it can be trained")
    .option('--train', 'node by node: gradient rule, zero, or refused and why')
    .option('--json', 'print it as JSON')
    .addHelpText('after', '\nExamples:\n  imago inspect teacher.onnx\n  imago inspect student.onnx --train\n')
    .action(act(inspect))
}

async function inspect(
  context: Context,
  options: { train?: boolean; json?: boolean },
  path: string,
): Promise<undefined> {
  const model = await readModel(path)
  validateGraph(model.graph)
  const facts = summary(model)
  const { graph, obstacle } = trainingForm(model)
  const gradients = inspectGradients(graph)
  const refused = gradients.filter(({ answer }) => answer === 'refused')
  if (options.json) {
    const nodes = gradients.map(({ node, answer, reason }) => ({
      name: node.name,
      op: node.op,
      output: node.outputs[0],
      answer,
      reason,
    }))
    const trainable = refused.length === 0 && obstacle === undefined
    context.out(JSON.stringify({ ...facts, trainable, obstacle, ...(options.train && { nodes }) }, null, 2))
    return
  }
  context.out(
    `opset ${Object.entries(facts.opsets)
      .map(([domain, version]) => `${domain || 'ai.onnx'} ${version}`)
      .join(', ')}; IR ${facts.irVersion}; producer ${facts.producer || 'not named'}`,
  )
  context.out(`inputs   ${facts.inputs.join('; ')}`)
  context.out(`outputs  ${facts.outputs.join('; ')}`)
  context.out(`${facts.parameters.toLocaleString('en')} parameters in ${facts.tensors} tensors\n`)
  context.out(table([['op', 'nodes'], ...Object.entries(facts.ops).map(([op, count]) => [op, String(count)])]))
  if (options.train)
    context.out(
      `\n${table([['node', 'op', 'gradient', ''], ...gradients.map(({ node, answer, reason }) => [node.name || node.outputs[0] || '', node.op, answer, reason ?? ''])])}`,
    )
  if (obstacle !== undefined) context.out(`\nCannot be trained as it is: ${obstacle}`)
  else
    context.out(
      refused.length === 0
        ? '\nCan be trained: every node on the way has a gradient rule.'
        : `\nNodes without a gradient (training works where none lies between a trained parameter and the output):\n${[...new Set(refused.map(({ node, reason }) => `  ${node.op}: ${reason ?? 'no rule'}`))].join('\n')}`,
    )
}

/** The graph as it would be trained: functions inlined, old forms of ops brought up to date; and what stands against that. */
function trainingForm(model: Model): { readonly graph: Graph; readonly obstacle?: string } {
  try {
    return { graph: normaliseOpset({ ...model, graph: topologicalSort(model.graph) }).graph }
  } catch (error) {
    if (error instanceof UnsupportedError || error instanceof ShapeError)
      return { graph: model.graph, obstacle: error.message }
    throw error
  }
}

interface Summary {
  readonly irVersion: number
  readonly opsets: { readonly [domain: string]: number }
  readonly producer: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly parameters: number
  readonly tensors: number
  readonly ops: { readonly [op: string]: number }
}

function summary({ irVersion, opsets, producer, graph }: Model): Summary {
  const ops = new Map<string, number>()
  for (const { op } of graph.nodes) ops.set(op, (ops.get(op) ?? 0) + 1)
  const floats = [...graph.initializers.values()].filter(({ type }) => type.includes('float'))
  return {
    irVersion,
    opsets: Object.fromEntries(opsets),
    producer,
    inputs: graph.inputs.filter(({ name }) => !graph.initializers.has(name)).map(spell),
    outputs: graph.outputs.map(spell),
    parameters: floats.reduce((sum, { dims }) => sum + elementCount(dims), 0),
    tensors: floats.length,
    ops: Object.fromEntries([...ops].sort(([, a], [, b]) => b - a)),
  }
}

function spell({ name, type, shape }: ValueInfo): string {
  return `${name} ${type ?? 'not a tensor'}${shape ? `[${shape.join(', ')}]` : ''}`
}
