import type { SpokenDigits } from '@imago/data'
import type { PredictedRows } from '../predict-rows.js'
import { type StateStatistics, wordModel } from './digit-models.js'
import type { SpeechPart } from './speech-split.js'
import { viterbi } from './viterbi.js'

/**
 * Errors in telling which digit was spoken: each digit's model is laid over the utterance, and the one whose best path scores highest is the
 * answer. Scores are log p(state | frame) − log p(state), the likelihood up to a constant (Bourlard & Morgan 1994).
 *
 * @param predicted rows of `part.frames`, in order
 */
export function digitErrors(
  predicted: PredictedRows,
  part: SpeechPart,
  { states, lexicon }: Pick<SpokenDigits, 'states' | 'lexicon'>,
  statistics: StateStatistics,
): number {
  const models = lexicon.map((phones) => wordModel(phones, states, statistics))
  const { logits, classes } = predicted
  let errors = 0
  part.utterances.forEach(({ digit }, u) => {
    const [from, to] = [part.frames.starts[u]!, part.frames.starts[u + 1]!]
    const scores = likelihoods(logits.subarray(from * classes, to * classes), classes, statistics.logPrior)
    const found = models.map((model) => viterbi(scores, classes, model).score)
    if (found.indexOf(Math.max(...found)) !== digit) errors++
  })
  return errors
}

function likelihoods(logits: Float32Array, classes: number, logPrior: Float64Array): Float64Array {
  const out = new Float64Array(logits.length)
  for (let at = 0; at < logits.length; at += classes) {
    let top = Number.NEGATIVE_INFINITY
    for (let c = 0; c < classes; c++) top = Math.max(top, logits[at + c]!)
    let sum = 0
    for (let c = 0; c < classes; c++) sum += Math.exp(logits[at + c]! - top)
    const norm = top + Math.log(sum)
    for (let c = 0; c < classes; c++) out[at + c] = logits[at + c]! - norm - logPrior[c]!
  }
  return out
}
