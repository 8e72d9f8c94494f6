import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

/** The addon as it is exported; packages/kernels/src/binding.ts has the same with docstrings. */
export interface Addon {
  abiVersion: number
  kernels(): string[]
  info(): { isa: string; available: string[]; threads: number }
  setIsa(isa: string): void
  loadLibrary(path: string): unknown
  call(kernel: string, buffers: unknown[], scalars: readonly unknown[]): void
}

/** The built addon; IMAGO_NATIVE_PATH names another, as for the loader of @imago/kernels. */
export const addonPath: string =
  process.env.IMAGO_NATIVE_PATH || path.join(import.meta.dirname, '..', 'build', 'Release', 'imago_native.node')

/** The built addon, or null (said once) where there is none: its tests are skipped then. */
export function loadAddon(): Addon | null {
  if (existsSync(addonPath)) return createRequire(import.meta.url)(addonPath) as Addon
  console.log(`skipped: ${addonPath} is not built (node native/build.mjs)`)
  return null
}
