export interface Record {
  readonly name: string
  readonly core: boolean
  readonly expanded: boolean
  readonly grad: { readonly status: string }
  readonly ort: { readonly status: string }
}

export interface Cases {
  readonly index: { readonly cases: readonly Record[] }
  readonly file: (name: string) => Uint8Array | undefined
}

export function openCases(path: string): Cases
export function findCases(shared: string): string | undefined
