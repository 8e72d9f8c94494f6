import { readFileSync } from 'node:fs'

/**
 * Optional dependencies that the lock file names but does not hold. npm drops one silently where the registry lacks it,
 * and `npm ci` then fails on every other machine.
 */
export function incompleteLock(file) {
  const { packages } = JSON.parse(readFileSync(file, 'utf8'))
  return Object.entries(packages).flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {})
      .filter((name) => !resolves(packages, path, name))
      .map((name) => `${path} names ${name}, which the lock file lacks`),
  )
}

function resolves(packages, from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    if (`${at === '' ? '' : `${at}/`}node_modules/${name}` in packages) return true
    if (at === '') return false
  }
}
