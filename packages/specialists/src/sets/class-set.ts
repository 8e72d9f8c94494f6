import { ArgumentError } from '@imago/tensor'

/** The classes that one specialist tells apart, in the order of its outputs; all others are its dustbin. */
export interface ClassSet {
  readonly name: string
  readonly classes: readonly number[]
}

/**
 * Refuse a set that no specialist can have: empty, with a class twice or one that is none, or with all classes, which leaves nothing for the
 * dustbin.
 *
 * @param classes how many classes there are in all
 * @throws ArgumentError naming the set
 */
export function checkClassSet(caller: string, set: ClassSet, classes: number, argument = 'set'): void {
  if (typeof set !== 'object' || set === null || typeof set.name !== 'string' || !Array.isArray(set.classes))
    throw new ArgumentError(caller, argument, 'a class set { name, classes }', set)
  const name = `${argument}.classes`
  const bad = set.classes.find((c) => !(Number.isInteger(c) && c >= 0 && c < classes))
  if (bad !== undefined)
    throw new ArgumentError(caller, name, `classes in [0, ${classes}), as "${set.name}" is a set of them`, bad)
  if (set.classes.length === 0 || set.classes.length >= classes)
    throw new ArgumentError(
      caller,
      name,
      `1 … ${classes - 1} of the ${classes} classes in "${set.name}", so that some are left for the dustbin`,
      set.classes.length,
    )
  const twice = set.classes.find((c, i) => set.classes.indexOf(c) !== i)
  if (twice !== undefined) throw new ArgumentError(caller, name, `different classes in "${set.name}"`, [...set.classes])
}

/** Place of each class in the set's outputs, `[C]`; classes of the dustbin have the set's size, the place of the dustbin itself. */
export function placesOf(set: ClassSet, classes: number): Int32Array {
  const places = new Int32Array(classes).fill(set.classes.length)
  for (const [place, c] of set.classes.entries()) places[c] = place
  return places
}
