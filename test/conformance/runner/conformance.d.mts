import type { Cases, Record } from './open-cases.mjs'

export interface Entry {
  readonly name: string
  readonly why?: string
  readonly core: boolean
  readonly runs: boolean
}

export interface Result {
  readonly roundTrip: readonly (Entry & { readonly same: boolean })[]
  readonly structure: readonly (Entry & { readonly answer: 'same' | 'different' | 'refused' | 'not run' })[]
  readonly gradients: readonly (Entry & { readonly answer: 'pass' | 'refused' | 'wrong'; readonly bound?: boolean })[]
}

export function conformance(
  cases: Cases,
  options?: {
    readonly parts?: readonly ('round trip' | 'structure' | 'gradients')[]
    readonly only?: (record: Record, base: Record) => boolean
    readonly progress?: (done: number, all: number) => void
  },
): Promise<Result>

export function isCore(record: Record, base: Record): boolean
