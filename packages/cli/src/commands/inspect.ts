import { inspectGradients } from '@imago/autodiff'
import { type Model, readModel, type ValueInfo } from '@imago/onnx'
import { elementCount } from '@imago/tensor'
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
  const facts = summary(model)
  const gradients = inspectGradients(model.graph)
  const refused = gradients.filter(({ answer }) => answer === 'refused')
  if (options.json) {
    const nodes = gradients.map(({ node, answer, reason }) => ({
      name: node.name,
      op: node.op,
      output: node.outputs[0],
      answer,
      reason,
    }))
    context.out(JSON.stringify({ ...facts, trainable: refused.length === 0, ...(options.train && { nodes }) }, null, 2))
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
  context.out(
    refused.length === 0
      ? '\nCan be trained: every node on the way has a gradient rule.'
      : `\nNodes without a gradient (training works where none lies between a trained parameter and the output):\n${[...new Set(refused.map(({ node, reason }) => `  ${node.op}: ${reason ?? 'no rule'}`))].join('\n')}`,
  )
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
  const ops: { [op: string]: number } = {}
  for (const { op } of graph.nodes) ops[op] = (ops[op] ?? 0) + 1
  const floats = [...graph.initializers.values()].filter(({ type }) => type.includes('float'))
  return {
    irVersion,
    opsets: Object.fromEntries(opsets),
    producer,
    inputs: graph.inputs.filter(({ name }) => !graph.initializers.has(name)).map(spell),
    outputs: graph.outputs.map(spell),
    parameters: floats.reduce((sum, { dims }) => sum + elementCount(dims), 0),
    tensors: floats.length,
    ops: Object.fromEntries(Object.entries(ops).sort(([, a], [, b]) => b - a)),
  }
}

function spell({ name, type, shape }: ValueInfo): string {
  return `${name} ${type ?? 'not a tensor'}${shape ? `[${shape.join(', ')}]` : ''}`
}
