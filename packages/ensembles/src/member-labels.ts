import { ArgumentError } from '@imago/tensor'

/**
 * What messages call each of a list: `members[1]`, with its name where names are given.
 * @throws ArgumentError where the list is empty, or there is not one name each
 */
export function memberLabels(
  caller: string,
  kind: string,
  list: readonly unknown[],
  names: readonly string[] | undefined,
): string[] {
  if (!Array.isArray(list) || list.length === 0)
    throw new ArgumentError(caller, kind, 'a list with at least one of them', list)
  if (names !== undefined && names.length !== list.length)
    throw new ArgumentError(caller, 'names', `${list.length} names, one each of ${kind}`, names)
  return list.map((_, i) => (names === undefined ? `${kind}[${i}]` : `${kind}[${i}] (${names[i]})`))
}

/** @throws ArgumentError for one that cannot be called */
export function checkCallable(caller: string, labels: readonly string[], list: readonly unknown[]): void {
  for (const [i, one] of list.entries())
    if (typeof one !== 'function')
      throw new ArgumentError(caller, labels[i]!, 'a function (inputs, signal) => outputs', one)
}
