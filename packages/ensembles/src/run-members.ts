import type { TensorMap } from '@imago/tensor'
import { MemberError } from './member-error.js'

/** One member, ready to run. */
export interface Run {
  readonly index: number
  /** What messages call it. */
  readonly label: string
  readonly name: string | undefined
  readonly run: (signal: AbortSignal | undefined) => Promise<TensorMap>
}

/**
 * Run every member, in order or all at once. Settles only when no member is at work any more: what fails first tells the others to
 * stop, and they are waited for.
 *
 * @throws MemberError for the member that failed first; the signal's reason where it was aborted
 */
export async function runMembers(
  caller: string,
  runs: readonly Run[],
  concurrent: boolean,
  signal: AbortSignal | undefined,
): Promise<TensorMap[]> {
  signal?.throwIfAborted()
  return concurrent ? allAtOnce(caller, runs, signal) : inOrder(caller, runs, signal)
}

async function inOrder(caller: string, runs: readonly Run[], signal: AbortSignal | undefined): Promise<TensorMap[]> {
  const results: TensorMap[] = []
  for (const { index, label, name, run } of runs) {
    try {
      results.push(await run(signal))
    } catch (cause) {
      signal?.throwIfAborted()
      throw new MemberError(caller, label, index, name, cause)
    }
    signal?.throwIfAborted()
  }
  return results
}

async function allAtOnce(caller: string, runs: readonly Run[], signal: AbortSignal | undefined): Promise<TensorMap[]> {
  const stop = new AbortController()
  const pass = (): void => stop.abort(signal?.reason)
  // Not AbortSignal.any: a listener that is taken away again leaves nothing behind on a signal that outlives thousands of batches.
  signal?.addEventListener('abort', pass)
  let failed: MemberError | undefined
  try {
    const results = await Promise.all(
      runs.map(async ({ index, label, name, run }) => {
        try {
          return await run(stop.signal)
        } catch (cause) {
          failed ??= new MemberError(caller, label, index, name, cause)
          stop.abort(failed)
          return undefined
        }
      }),
    )
    signal?.throwIfAborted()
    if (failed) throw failed
    return results as TensorMap[]
  } finally {
    signal?.removeEventListener('abort', pass)
  }
}
