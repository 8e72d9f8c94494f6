import type { Result } from './conformance.mjs'

export function summary(result: Result, options?: { readonly verbose?: boolean }): string[]
export function wrong(result: Result): number
export function verdict(result: Result): string
