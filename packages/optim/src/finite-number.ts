import { ArgumentError } from '@imago/tensor'

/** `value` where it is a finite number ≥ `least` (or > `least` where `open`); throws ArgumentError otherwise. */
export function finiteNumber(
  caller: string,
  argument: string,
  value: number,
  least: number = -Infinity,
  open: boolean = false,
): number {
  if (typeof value === 'number' && Number.isFinite(value) && (open ? value > least : value >= least)) return value
  const bound = least === -Infinity ? '' : ` ${open ? '>' : '≥'} ${least}`
  throw new ArgumentError(caller, argument, `a finite number${bound}`, value)
}
