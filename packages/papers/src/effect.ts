/** A claim of a paper, and whether this run bears it out. */
export interface Effect {
  readonly name: string
  readonly holds: boolean
  readonly found: string
}
