export interface Base {
  readonly name: string
  readonly bytes: Uint8Array
}

export interface FuzzOptions {
  readonly seed: number
  readonly from: number
  readonly to: number
  readonly limit?: number
  readonly now?: () => number
  readonly progress?: (mutant: number) => void
}

export interface FuzzResult {
  readonly passed: number
  readonly refused: number
  readonly faults: readonly { readonly mutant: number; readonly name: string; readonly error: string }[]
  readonly slow: readonly { readonly mutant: number; readonly name: string; readonly ms: number }[]
}

export function mutant(models: readonly Base[], seed: number, i: number): Base
export function fuzz(models: readonly Base[], options: FuzzOptions): FuzzResult
