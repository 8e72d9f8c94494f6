import { intAttribute, nodeLabel } from '../attributes.js'
import { keptPayloads } from '../codec/message.js'
import type { Graph, Node } from '../ir.js'
import { differentiableReads } from './differentiable-inputs.js'
import { parameterNames } from './parameter-names.js'

const metadata = 9
const text = new TextDecoder()

/**
 * What an exporter did to a model that somebody who trains it should know, one sentence each: BatchNormalization folded into
 * weights, biases left out because they were 0, weights under names of its own, one weight that several nodes read, and the training mode. The forward pass is
 * right with all but the last, so nothing else tells.
 *
 * Nodes must be in topological order.
 */
export function exporterTraces(graph: Graph): string[] {
  const weights = new Set(parameterNames(graph))
  const folded = graph.nodes.filter((node) => /FuseBatchNorm/.test(rulesOf(node)) || isFoldedByTracing(node))
  const bare = graph.nodes.filter((node) => /RemoveOptionalBias/.test(rulesOf(node)) && !folded.includes(node))
  const renamed = [...weights].filter((name) => /^(val_\d+|onnx::\w+_\d+)$/.test(name))
  const training = graph.nodes.filter(
    (node) => node.op === 'BatchNormalization' && intAttribute(node, 'training_mode', 0) === 1,
  )
  return [
    ...(folded.length === 0
      ? []
      : [
          `BatchNormalization is folded into ${some(folded.map(nodeLabel))}: its scale and statistics are in the weights, and nothing normalises while the student trains; ${remedy}`,
        ]),
    ...(bare.length === 0
      ? []
      : [
          `${some(bare.map(nodeLabel))} lost a bias that was 0, so none will be learned there (unless the module has none); ${remedy}`,
        ]),
    ...(renamed.length === 0
      ? []
      : [
          `${some(renamed)} ${renamed.length === 1 ? 'is a weight' : 'are weights'} that the exporter computed (a transposed matrix of a Linear, or a folded layer): trained and saved under that name, which the module does not know; ${remedy}`,
        ]),
    ...[...weights].flatMap((name) => sharing(graph, name)),
    ...(training.length === 0
      ? []
      : [
          `exported in training mode, and so is the file that will be saved: served as it is, ${some(training.map(nodeLabel))} would normalise by each batch; imago export --optimize makes the file to serve`,
        ]),
  ]
}

const remedy =
  'to keep the module as it is, export with torch.onnx.export(…, dynamo=True, optimize=False), or dynamo=False with training=TrainingMode.TRAINING and do_constant_folding=False'

/** The rewriting rules that torch.onnx says it applied to a node. */
function rulesOf(node: Node): string {
  return keptPayloads(node.kept?.fields, metadata)
    .map((bytes) => text.decode(bytes))
    .filter((entry) => entry.includes('rewriter.rule_name'))
    .join()
}

/** The TorchScript exporter keeps a weight's name unless it computed it: both of a convolution's come of a folded layer. */
function isFoldedByTracing({ op, inputs: [, weight = '', bias = ''] }: Node): boolean {
  return /^Conv/.test(op) && /^onnx::Conv/.test(weight) && /^onnx::Conv/.test(bias)
}

function sharing(graph: Graph, name: string): string[] {
  const readers = graph.nodes.filter((node) => differentiableReads(node).includes(name))
  // An LSTM's gates are cut out of one matrix.
  if (readers.length < 2 || readers.every((node) => node.op === 'Slice' || node.op === 'Split')) return []
  return [`"${name}" is one weight that ${some(readers.map(nodeLabel))} read; it is trained as one`]
}

function some(items: readonly string[]): string {
  return items.length <= 3 ? items.join(', ') : `${items.slice(0, 3).join(', ')} and ${items.length - 3} more`
}
