import { arithmetic, ensemble } from '@imago/ensembles'
import { ArgumentError, fromPredict } from '@imago/tensor'
import { type DistillOptions, distill } from './distill.js'
import type { Outcome } from './fit.js'
import type { Report } from './report.js'
import { predictStudent } from './student.js'

/** One of several students that learn together: its own data order, loss, optimizer, checkpoints. */
export type Peer = Omit<DistillOptions, 'targets' | 'remember' | 'memoryLimit'>

/** What a peer says while it learns. */
export interface PeerReport {
  /** Its place in the list. */
  readonly peer: number
  readonly report: Report
}

export interface MutualOptions {
  /** T at which the others' probabilities are averaged where there are three peers or more; default 1. */
  readonly temperature?: number
}

/**
 * Deep mutual learning (Zhang et al. 2018, alg. 1): students that teach each other while they learn. They take their steps in turn; the
 * targets of one are what the others say at that moment (their probabilities' mean, where there are several), without dropout and by
 * running statistics. It is `distill` step by step, so losses, checkpoints and resuming are its own: after a stop the peer that is behind goes first.
 *
 * Give each a loss of labels and the others' logits, such as `softTarget({ temperature: 1, hardWeight: 0.5 })`.
 *
 * @throws ArgumentError for fewer than two peers; what `distill` throws
 */
export async function* mutual(
  peers: readonly Peer[],
  options: MutualOptions = {},
): AsyncGenerator<PeerReport, readonly Outcome[]> {
  if (peers.length < 2) throw new ArgumentError('mutual', 'peers', 'at least two', peers.length)
  const predicts = peers.map(({ student }) => predictStudent(student))
  const runs = peers.map((peer, i) => {
    const others = predicts.filter((_, j) => j !== i)
    const targets = others.length === 1 ? others[0]! : ensemble(others, arithmetic(options))
    return distill({ ...peer, targets: fromPredict(targets), remember: false })
  })
  const steps = peers.map(() => 0)
  const outcomes: (Outcome | undefined)[] = peers.map(() => undefined)
  try {
    for (;;) {
      const waiting = outcomes.flatMap((outcome, i) => (outcome === undefined ? [i] : []))
      if (waiting.length === 0) return outcomes as Outcome[]
      const peer = waiting.reduce((behind, i) => (steps[i]! < steps[behind]! ? i : behind))
      const { value, done } = await runs[peer]!.next()
      if (done) outcomes[peer] = value
      else {
        if ('step' in value) steps[peer] = value.step
        yield { peer, report: value }
      }
    }
  } catch (error) {
    // A signal stops every peer at its step: each keeps its state before the reason is thrown.
    for (const [i, { signal }] of peers.entries()) if (signal?.aborted) await runs[i]!.next().catch(() => undefined)
    throw error
  } finally {
    for (const run of runs) await run.return({ steps: 0, history: [] })
  }
}
