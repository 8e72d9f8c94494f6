import { ArgumentError, ShapeError, tensor, tensorMap } from '@imago/tensor'
import type { Dataset } from '../batch.js'
import { checkIndices } from '../dataset.js'
import type { Frames } from './log-mel.js'

export interface FrameWindowsOptions {
  /** One entry an utterance. */
  readonly utterances: readonly { readonly frames: Frames; readonly labels?: ArrayLike<number> }[]
  /** Frames before and after the one that is asked about. */
  readonly before: number
  readonly after: number
  readonly classes?: number
  /** Default `input`. */
  readonly input?: string
}

/** A data set of frames, and where each utterance lies in it. */
export interface FrameWindows extends Dataset {
  /** [utterances + 1]: rows of utterance u are starts[u] … starts[u + 1] − 1. */
  readonly starts: Uint32Array
}

/**
 * Every frame with its neighbours as one row [(before + 1 + after)·bands], in the order of time: what an acoustic model sees. Where an
 * utterance ends, its first or last frame is repeated. The windows are cut when rows are taken; frames are kept once.
 *
 * @throws ShapeError for utterances of other bands or with other than one label a frame, ArgumentError
 */
export function frameWindows(options: FrameWindowsOptions): FrameWindows {
  const { utterances, before, after, classes, input = 'input' } = options
  for (const [name, value] of Object.entries({ before, after }))
    if (!(Number.isSafeInteger(value) && value >= 0))
      throw new ArgumentError('frameWindows', name, 'a whole number ≥ 0', value)
  const bands = utterances[0]?.frames.bands ?? 0
  const starts = new Uint32Array(utterances.length + 1)
  utterances.forEach(({ frames, labels }, u) => {
    if (frames.bands !== bands)
      throw new ShapeError('frameWindows', `utterances[${u}].frames`, `[T, ${bands}]`, `[T, ${frames.bands}]`)
    if (labels && labels.length !== frames.length)
      throw new ShapeError('frameWindows', `utterances[${u}].labels`, `[${frames.length}]`, `[${labels.length}]`)
    starts[u + 1] = starts[u]! + frames.length
  })
  const length = starts.at(-1)!
  if (length === 0) throw new ArgumentError('frameWindows', 'utterances', 'at least one frame', `${length}`)
  const labelled = utterances.some(({ labels }) => labels !== undefined)
  const labels = new Int32Array(length).fill(-1)
  const owner = new Uint32Array(length)
  utterances.forEach((utterance, u) => {
    owner.fill(u, starts[u]!, starts[u + 1]!)
    if (utterance.labels) labels.set(utterance.labels, starts[u]!)
  })
  const span = before + 1 + after
  const width = span * bands

  const rows: Dataset['rows'] = (indices) => {
    checkIndices(indices, length)
    const out = new Float32Array(indices.length * width)
    indices.forEach((index, row) => {
      const u = owner[index]!
      window(utterances[u]!.frames, index - starts[u]! - before, span, out, row * width)
    })
    const inputs = tensorMap([[input, tensor('float32', [indices.length, width], out)]])
    const ids = indices.slice()
    return labelled ? { ids, inputs, labels: Int32Array.from(indices, (index) => labels[index]!) } : { ids, inputs }
  }
  return { length, starts, rows, ...(classes !== undefined && { classes }) }
}

/** Frames from … from + span − 1, each held inside the utterance. */
function window({ data, length, bands }: Frames, from: number, span: number, out: Float32Array, at: number): void {
  if (from >= 0 && from + span <= length) {
    out.set(data.subarray(from * bands, (from + span) * bands), at)
    return
  }
  for (let i = 0; i < span; i++) {
    const t = Math.min(length - 1, Math.max(0, from + i))
    out.set(data.subarray(t * bands, (t + 1) * bands), at + i * bands)
  }
}
