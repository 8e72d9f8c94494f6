import { inspectGradients, type NodeGradient } from '@imago/autodiff'
import { type Graph, type Model, nodeLabel, normaliseOpset, topologicalSort } from '@imago/onnx'
import { ImagoError } from '@imago/tensor'
import { type PrepareOptions, prepareStudent } from './prepare-student.js'

export interface WeightReport {
  readonly name: string
  readonly dims: readonly number[]
  /** `statistic`: a running mean or variance that training moves. */
  readonly role: 'trained' | 'frozen' | 'statistic'
}

export interface StudentReport {
  /** Node by node of the graph as it would be trained: functions inlined, shape computations folded, up to the logits. */
  readonly nodes: readonly NodeGradient[]
  /** Empty where the graph could not be prepared. */
  readonly weights: readonly WeightReport[]
  /** What was found and would be done to the model, one sentence each. */
  readonly notes: readonly string[]
  /** What stands against training, and what to do about it; empty where the model can be trained. */
  readonly obstacles: readonly string[]
}

/** What `openStudent` would say of a model with these options, all of it at once and without running anything. */
export function inspectStudent(model: Model, options: PrepareOptions = {}): StudentReport {
  try {
    const { form, graph, names, frozen, notes } = prepareStudent(model, options)
    const nodes = inspectGradients(form.graph, { wrt: names })
    const role = (of: WeightReport['role'], list: readonly string[]): WeightReport[] =>
      list.map((name) => ({ name, dims: graph.initializers.get(name)?.dims ?? [], role: of }))
    const weights = [
      ...role('trained', names),
      ...role('frozen', frozen),
      ...role(
        'statistic',
        form.statistics.map((statistic) => statistic.parameter),
      ),
    ]
    return { nodes, weights, notes: [...notes, ...tidied(model, graph)], obstacles: nodes.flatMap(obstacleOf) }
  } catch (error) {
    if (!(error instanceof ImagoError)) throw error
    return { nodes: inspectGradients(closest(model), { wrt: [] }), weights: [], notes: [], obstacles: [error.message] }
  }
}

/** What makes the list of nodes shorter than the file's. */
function tidied({ functions, graph: { nodes } }: Model, graph: Graph): string[] {
  const names = functions.map((one) => one.name).join(', ')
  const shapes =
    nodes.filter((node) => node.op === 'Shape').length - graph.nodes.filter((node) => node.op === 'Shape').length
  return [
    ...(functions.length > 0 ? [`the model's own functions (${names}) are inlined`] : []),
    ...(shapes > 0 ? [`${shapes} computations of shapes are folded; the batch stays open`] : []),
  ]
}

function obstacleOf({ node, answer, needed, reason, behind = [] }: NodeGradient): string[] {
  if (answer !== 'refused' || !needed) return []
  const some = behind.slice(0, 3).join(', ')
  const rest = behind.length > 3 ? ` and ${behind.length - 3} more` : ''
  return [`${nodeLabel(node)}: ${reason}. The weights behind it, to freeze if it has to stay: ${some}${rest}`]
}

/** The graph as far as the passes get with it. */
function closest(model: Model): Graph {
  try {
    return normaliseOpset({ ...model, graph: topologicalSort(model.graph) }).graph
  } catch (error) {
    if (!(error instanceof ImagoError)) throw error
    return model.graph
  }
}
