import type { Json } from './json.js'

/** Where two JSON values differ, one sentence a place: `optimizer.rate: 0.1 there, 0.2 here`. Key order is no difference. */
export function differences(there: Json | undefined, here: Json | undefined, path = ''): string[] {
  if (isObject(there) && isObject(here)) {
    const keys = [...new Set([...Object.keys(there), ...Object.keys(here)])].sort()
    return keys.flatMap((key) => differences(own(there, key), own(here, key), path ? `${path}.${key}` : key))
  }
  if (Array.isArray(there) && Array.isArray(here) && there.length === here.length)
    return there.flatMap((value: Json, i) => differences(value, here[i] as Json, `${path}[${i}]`))
  return JSON.stringify(there) === JSON.stringify(here) ? [] : [`${path}: ${show(there)} there, ${show(here)} here`]
}

function own(object: { readonly [key: string]: Json }, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: Json | undefined): string {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
