import { ArgumentError } from '@imago/tensor'
import type { Batch } from '../batch.js'

/** The inputs that an augmentation changes: the named one, or all that are float32. */
export function chosenInputs(caller: string, batch: Batch, input: string | undefined): Set<string> {
  const fitting = Object.keys(batch.inputs).filter((name) => batch.inputs[name]!.type === 'float32')
  if (input === undefined && fitting.length > 0) return new Set(fitting)
  if (input !== undefined && fitting.includes(input)) return new Set([input])
  const found = Object.keys(batch.inputs).map((name) => `${name} (${batch.inputs[name]!.type})`)
  throw new ArgumentError(caller, 'input', 'the name of a float32 input', input ?? found.join(', '))
}
