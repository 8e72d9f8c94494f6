import { finiteNumber } from '../finite-number.js'
import type { Schedule } from '../optimizer.js'

/** The same value all the way: η(t) = value. */
export function constant(value: number): Schedule {
  finiteNumber('constant', 'value', value)
  return () => value
}

/** A number as a schedule; a schedule as it is. */
export function asSchedule(value: number | Schedule): Schedule {
  return typeof value === 'function' ? value : constant(value)
}
