import { dirname, join } from 'node:path'

/** Where an addon may be, and what to do if it is not. */
export interface Candidate {
  readonly path: string | null
  /** Why there is no path, where there is none. */
  readonly reason?: string
}

/** What the search looks at, so that tests can give it another machine. */
export interface Surroundings {
  readonly env: { readonly [name: string]: string | undefined }
  readonly platform: string
  readonly arch: string
  readonly libc: () => 'gnu' | 'musl' | null
  /** The file of a module specifier; throws where there is none. */
  readonly resolve: (specifier: string) => string
}

const addon = 'imago_native.node'

/**
 * The places of the addon in the order in which they are tried: IMAGO_NATIVE_PATH (and then nothing else, for who names a
 * file wants that one), the build of @imago/native, the prebuilt package of this platform.
 */
export function candidates({ env, platform, arch, libc, resolve }: Surroundings): Candidate[] {
  if (env.IMAGO_NATIVE_PATH) return [{ path: env.IMAGO_NATIVE_PATH }]
  const c = libc()
  const prebuilt = `@imago/native-${platform}-${arch}${c === null ? '' : `-${c}`}`
  return [
    locate('@imago/native', (folder) => join(folder, 'build', 'Release', addon), resolve),
    locate(prebuilt, (folder) => join(folder, addon), resolve),
  ]
}

function locate(name: string, path: (folder: string) => string, resolve: (specifier: string) => string): Candidate {
  try {
    return { path: path(dirname(resolve(`${name}/package.json`))) }
  } catch {
    return { path: null, reason: `package ${name} is not installed` }
  }
}
