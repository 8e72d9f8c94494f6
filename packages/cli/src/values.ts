import { InvalidArgumentError } from 'commander'
import { repeatedKey } from './repeated-key.js'

/** Readers of option values; what they refuse, commander reports with the option's name. */

export function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`It must be a whole number ≥ ${least}.`)
    return value
  }
}

/** A finite number in [least, most]; `above` leaves `least` itself out. */
export function real(least: number, most: number = Number.MAX_VALUE, above = false): (text: string) => number {
  return (text) => {
    const value = Number(text)
    const low = above ? value > least : value >= least
    if (text.trim() === '' || !Number.isFinite(value) || !low || value > most)
      throw new InvalidArgumentError(
        `It must be a number ${above ? '>' : '≥'} ${least}${most === Number.MAX_VALUE ? '' : ` and ≤ ${most}`}.`,
      )
    return value
  }
}

/** A number in [0, 1). */
export function fraction(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value < 1))
    throw new InvalidArgumentError('It must be a number ≥ 0 and < 1.')
  return value
}

/** A list of whole numbers: `1,2,3`. */
export function wholes(least: number): (text: string) => number[] {
  const read = whole(least)
  return (text) => text.split(',').map((item) => read(item))
}

/** One of a few words. */
export function oneOf<T extends string>(...words: readonly T[]): (text: string) => T {
  return (text) => {
    if (!words.includes(text as T)) throw new InvalidArgumentError(`It must be one of ${words.join(', ')}.`)
    return text as T
  }
}

/** A regular expression; returned as it was written, so that it can stand in a run's description. */
export function pattern(text: string): string {
  try {
    new RegExp(text)
    return text
  } catch (error) {
    throw new InvalidArgumentError(`It must be a regular expression (${(error as Error).message}).`)
  }
}

/** Sizes by name: `N=2,T=16`. */
export function sizes(text: string): { [symbol: string]: number } {
  const pairs = text.split(',').map((item) => /^\s*([^=\s]+)\s*=\s*(\d+)\s*$/.exec(item))
  if (pairs.some((pair) => pair === null || Number(pair[2]) < 1))
    throw new InvalidArgumentError('It must be names and sizes such as N=2,T=16.')
  return Object.fromEntries(pairs.map((pair) => [pair![1]!, Number(pair![2])]))
}

/** A JSON object, for options that carry several things. */
export function jsonObject(text: string): { [name: string]: unknown } {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new InvalidArgumentError('It must be a JSON object.')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidArgumentError('It must be a JSON object.')
  const twice = repeatedKey(text)
  if (twice !== undefined) throw new InvalidArgumentError(`It must have each key once, not ${twice} twice.`)
  return value as { [name: string]: unknown }
}

/** A list of numbers: `0.001,0.003`. */
export function reals(least: number, most: number = Number.MAX_VALUE, above = false): (text: string) => number[] {
  const read = real(least, most, above)
  return (text) => text.split(',').map((item) => read(item))
}

/** A list of words: `official,theo`. */
export function words(text: string): string[] {
  const list = text.split(',').map((word) => word.trim())
  if (list.includes('')) throw new InvalidArgumentError('It must be words with commas between them.')
  return list
}
