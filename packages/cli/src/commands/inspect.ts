import { inferShapes, type Model, readModel, type ValueInfo, validateGraph } from '@imago/onnx'
import { inspectStudent, type StudentReport } from '@imago/runtime'
import { elementCount } from '@imago/tensor'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { table } from '../terminal/table.js'
import { oneOf, pattern } from '../values.js'

interface InspectOptions {
  readonly train?: boolean
  readonly tensors?: boolean
  readonly freeze?: string
  readonly batchNorm?: 'batch' | 'frozen'
  readonly output?: string
  readonly json?: boolean
}

export function addInspect(program: Command, act: Act): void {
  program
    .command('inspect <model>')
    .description("a model's inputs, outputs, ops and parameters, and whether it can be trained")
    .option(
      '--train',
      'as it would be trained: node by node gradient rule, zero, or refused and what to do; its weights; what the exporter did to it',
    )
    .option('--tensors', 'every tensor that a node makes: its name (for imago distill --hint) and its dims')
    .option('--freeze <pattern>', 'as if the weights of these names stayed as they are (a regular expression)', pattern)
    .option('--batch-norm <mode>', 'as if trained with batch or frozen statistics', oneOf('batch', 'frozen'))
    .option('--output <name>', 'the output that classifies, where the model has several')
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      "\nExamples:\n  imago inspect teacher.onnx\n  imago inspect student.onnx --train\n  imago inspect student.onnx --tensors\n  imago inspect student.onnx --train --freeze 'encoder.*'\n",
    )
    .action(act(inspect))
}

async function inspect(context: Context, options: InspectOptions, path: string): Promise<undefined> {
  const model = await readModel(path)
  validateGraph(model.graph)
  const facts = summary(model)
  const report = inspectStudent(model, {
    ...(options.freeze !== undefined && { freeze: new RegExp(options.freeze) }),
    ...(options.batchNorm && { batchNorm: options.batchNorm }),
    ...(options.output !== undefined && { output: options.output }),
  })
  if (options.json) {
    const tensors = options.tensors && { tensors: tensorsOf(model) }
    context.out(JSON.stringify({ ...facts, ...tensors, ...asJson(report, options.train === true) }, null, 2))
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
  const said = Object.entries(facts.metadata)
  if (said.length > 0)
    context.out(`\n${table([['property', ''], ...said.map(([name, value]) => [name, clip(value)])])}`)
  if (options.tensors)
    context.out(
      `\n${table([['tensor', '', 'op'], ...tensorsOf(model).map(({ tensor, op }) => [...split(tensor), op])])}`,
    )
  if (options.train) context.out(`\n${asTables(report)}`)
  if (report.notes.length > 0) context.out(`\n${report.notes.map((note) => `note: ${note}`).join('\n')}`)
  context.out(
    report.obstacles.length === 0
      ? '\nCan be trained: every node on the way has a gradient rule.'
      : `\nCannot be trained as it is:\n${report.obstacles.map((obstacle) => `  ${obstacle}`).join('\n')}`,
  )
}

/** Properties may hold whole documents; --json gives them as they are. */
function clip(text: string): string {
  const line = text.replace(/\s+/g, ' ')
  return line.length <= 160 ? line : `${line.slice(0, 159)}…`
}

function asJson({ nodes, weights, notes, obstacles }: StudentReport, train: boolean): object {
  const listed = nodes.map(({ node, answer, needed, reason, behind }) => ({
    name: node.name,
    op: node.op,
    output: node.outputs[0],
    answer,
    needed,
    reason,
    behind,
  }))
  const trainable = obstacles.length === 0
  return { trainable, obstacle: obstacles[0], obstacles, notes, ...(train && { weights, nodes: listed }) }
}

function asTables({ nodes, weights }: StudentReport): string {
  const rows = nodes.map(({ node, answer, needed, reason }) => [
    node.name || node.outputs[0] || '',
    node.op,
    answer,
    needed ? '' : answer === 'zero' ? '' : 'not on the way',
    reason ?? '',
  ])
  const listed = weights.map(({ name, dims, role }) => [name, `[${dims.join(', ')}]`, role])
  return [
    table([['node', 'op', 'gradient', '', ''], ...rows]),
    ...(listed.length === 0 ? [] : [table([['weight', 'dims', ''], ...listed])]),
  ].join('\n\n')
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
  /** What the file says of itself: who taught it, its licence. */
  readonly metadata: { readonly [name: string]: string }
}

function summary({ irVersion, opsets, producer, graph, metadata }: Model): Summary {
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
    metadata: Object.fromEntries(metadata),
  }
}

/** What the nodes make, in their order. */
function tensorsOf({ graph }: Model): { readonly tensor: ValueInfo; readonly op: string }[] {
  const shapes = inferShapes(graph)
  return graph.nodes.flatMap(({ op, outputs }) =>
    outputs.filter((name) => name !== '').map((name) => ({ tensor: shapes.get(name) ?? { name }, op })),
  )
}

function split({ name, type, shape }: ValueInfo): [string, string] {
  return [name, `${type ?? '?'}${shape ? `[${shape.join(', ')}]` : ''}`]
}

function spell({ name, type, shape }: ValueInfo): string {
  return `${name} ${type ?? 'not a tensor'}${shape ? `[${shape.join(', ')}]` : ''}`
}
