import type { TensorMap } from '@imago/tensor'
import type { EngineOptions } from '../engine.js'
import type { Session } from '../session.js'

/** What the two processes say to each other; tensors cross by structured clone. */
export type Request =
  | {
      readonly kind: 'open'
      readonly where: string
      readonly loadable: Uint8Array | string
      readonly options: EngineOptions
      /** Bytes of resident memory at which the process ends itself. */
      readonly memoryLimit: number
    }
  | { readonly kind: 'run'; readonly feeds: TensorMap; readonly outputs: readonly string[] }

export type Reply =
  | ({ readonly kind: 'opened' } & Pick<Session, 'inputs' | 'outputs' | 'provider' | 'notes'>)
  | { readonly kind: 'ran'; readonly results: TensorMap }
  | { readonly kind: 'failed'; readonly error: SentError }

export interface SentError {
  readonly name: string
  readonly code: string | undefined
  readonly message: string
}

/** The last line of a process that has reached its limit, on standard error. */
export const memoryReached = 'imago: memory limit reached'
