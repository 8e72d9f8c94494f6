import { ArgumentError, describe, ShapeError } from '@imago/tensor'

/**
 * The rows whose label is a class; −1 (unlabelled) and −100 (left out) are passed over.
 * @throws ShapeError where there is not one label a row, ArgumentError for a label that is no class, and where none is left
 */
export function labelledRows(caller: string, labels: Int32Array, rows: number, classes: number): Uint32Array {
  if (!(labels instanceof Int32Array) || labels.length !== rows)
    throw new ShapeError(caller, 'labels', `an Int32Array of ${rows}, one a row`, describe(labels))
  const found: number[] = []
  for (const [row, label] of labels.entries()) {
    if (label === -1 || label === -100) continue
    if (!(label >= 0 && label < classes))
      throw new ArgumentError(caller, `labels[${row}]`, `a class in [0, ${classes}), −1 or −100`, label)
    found.push(row)
  }
  if (found.length === 0) throw new ArgumentError(caller, 'labels', 'of at least one labelled row', labels)
  return Uint32Array.from(found)
}
