import { StateError, type Targets } from '@imago/tensor'
import { checkServes } from './encoding.js'
import { fingerprintBytes, fingerprints, signatureOf } from './fingerprint.js'
import type { Store } from './open-store.js'

export interface FromStoreOptions {
  /** The temperature that the loss will take: one that the store has no targets for is refused here. */
  readonly temperature?: number
}

/**
 * Targets that are read from a store. A row is known by its id and by its inputs: where they are not those that the teacher saw (other data under
 * the same ids, other preprocessing, rows shuffled, augmentation), the batch is refused. Fixed views (`views`) are rows of their own and
 * may be stored.
 *
 * Targets: `logits` [N, C] in the type in which they are kept; of a store of k classes `indices` int32 and `values` [N, k], and
 * `logTail@T` [N] for each temperature T.
 *
 * @throws UnsupportedError for a temperature that the store does not serve; when read: NotFoundError for a row that it does not have, StateError
 *   for a row whose inputs are others, FormatError for damage
 */
export function fromStore(store: Store, options: FromStoreOptions = {}): Targets {
  const { folder, identity, format } = store
  const markBytes = fingerprintBytes(format)
  if (options.temperature !== undefined) checkServes(folder, identity.encoding, options.temperature)
  return async ({ ids, inputs }, signal) => {
    signal?.throwIfAborted()
    const here = JSON.stringify(signatureOf('fromStore', inputs))
    const there = JSON.stringify(identity.inputs)
    if (here !== there) throw new StateError(`${folder} was filled from inputs ${there}, and these are ${here}`, remedy)
    const places = store.find(ids)
    const { targets, fingerprints: kept } = await store.read(places)
    signal?.throwIfAborted()
    const seen = fingerprints('fromStore', inputs, ids.length, format)
    let differ = 0
    let first = -1
    for (let r = 0; r < ids.length; r++) {
      const at = r * markBytes
      for (let i = at; i < at + markBytes; i++)
        if (kept[i] !== seen[i]) {
          if (differ++ === 0) first = r
          break
        }
    }
    if (differ > 0)
      throw new StateError(
        `${folder}: the inputs of row ${ids[first]} are not those that its teacher saw (of this batch ${differ} of ${ids.length} rows differ)`,
        remedy,
      )
    return targets
  }
}

const remedy =
  'Give the data and the preprocessing that the store was filled with; rows that are augmented anew in every epoch have no stored targets, fixed views (views) have'
