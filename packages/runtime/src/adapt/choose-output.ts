import type { Graph } from '@imago/onnx'
import { type DataType, describe, NotFoundError, UnsupportedError } from '@imago/tensor'
import { producers } from './producers.js'

const floats: readonly (DataType | undefined)[] = ['float32', 'float64', 'float16', 'bfloat16']

export interface Chosen {
  /** The value that holds one number for each class. */
  readonly value: string
  /** The graph output that it is, or is the content of. */
  readonly output: string
  readonly type: DataType | undefined
  readonly notes: readonly string[]
}

/**
 * Which output of a graph is the classifier's. Labels (whole numbers, text) and maps are passed over; a ZipMap's input is
 * taken for its output. Of several candidates the one called `logits` is taken, else the first, and a note says so.
 *
 * @param wanted the caller's choice: an output, or any value inside the graph
 */
export function chooseOutput(graph: Graph, wanted: string | undefined): Chosen {
  const made = producers(graph)
  const typeOf = (name: string): DataType | undefined => graph.outputs.find((output) => output.name === name)?.type
  const names = graph.outputs.map((output) => output.name)
  if (wanted !== undefined) {
    if (!names.includes(wanted) && !made.has(wanted))
      throw new NotFoundError(`the model has no output ${describe(wanted)}`, `Its outputs are ${names.join(', ')}`)
    return contentOf(wanted)
  }

  const candidates = graph.outputs
    .filter(({ name, type }) => floats.includes(type) || made.get(name)?.op === 'ZipMap')
    .map(({ name }) => contentOf(name))
  const first = candidates.find((one) => one.output.toLowerCase() === 'logits') ?? candidates[0]
  if (first === undefined)
    throw new UnsupportedError(
      `the model's outputs ${names.join(', ')}`,
      'none holds one floating point number for each class',
    )
  const values = new Set(candidates.map((one) => one.value))
  const rest = names.filter((name) => name !== first.output)
  if (rest.length === 0) return first
  const skipped =
    values.size > 1
      ? `of the outputs ${names.join(', ')}, "${first.output}" was taken for the classifier's; the option "output" chooses another`
      : `output "${first.output}" was taken; ${rest.join(', ')} ${rest.length === 1 ? 'is' : 'are'} passed over`
  return { ...first, notes: [...first.notes, skipped] }

  function contentOf(output: string): Chosen {
    const node = made.get(output)
    if (node?.op !== 'ZipMap') return { value: output, output, type: typeOf(output), notes: [] }
    return { value: node.inputs[0]!, output, type: 'float32', notes: [`the ZipMap behind "${output}" was skipped`] }
  }
}
