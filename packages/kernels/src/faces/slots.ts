import { checkDisjoint, type MemoryRange } from '../guard.js'

/** Refuse a parameter, gradient or slot that shares memory with another: each would overwrite the other. */
export function checkApart(caller: string, arrays: { readonly [name: string]: MemoryRange }): void {
  const names = Object.keys(arrays)
  for (const [i, name] of names.entries())
    for (const other of names.slice(i + 1)) checkDisjoint(caller, other, arrays[other]!, { [name]: arrays[name]! })
}
