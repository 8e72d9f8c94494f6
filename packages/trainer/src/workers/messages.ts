import type { JsonObject } from '../json.js'
import type { Report } from '../report.js'

/** What goes to a worker process. */
export type ToWorker = { readonly kind: 'begin'; readonly task: JsonObject } | { readonly kind: 'stop' }

/** What comes from it. `ready` comes first; after `done`, `failed` or `stopped` it ends by itself. */
export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'report'; readonly report: Report }
  | { readonly kind: 'done'; readonly result: JsonObject }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'stopped' }
