import { spawnSync } from 'node:child_process'
import { cpus, platform, release, totalmem } from 'node:os'

/** What a number is worth nothing without. */
export function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${platform()} ${release()} ${process.arch}`,
  }
}

/** The commit, with `+` where the tree has changes. */
export function commit(root) {
  const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  const head = git('rev-parse', '--short=12', 'HEAD')
  if (head.status !== 0) return 'unknown'
  const changed = git('status', '--porcelain', '--untracked-files=no').stdout.trim() !== ''
  return `${head.stdout.trim()}${changed ? '+' : ''}`
}

/** A Python that has torch, or why there is none. */
export function findPython() {
  // biome-ignore lint/suspicious/noUndeclaredEnvVars: no turbo task reads it
  const command = process.env.IMAGO_PYTHON ?? 'python3'
  const probe = spawnSync(command, ['-c', 'import torch, numpy; print(torch.__version__)'], { encoding: 'utf8' })
  if (probe.error) return { reason: `${command} does not start (${probe.error.code}); IMAGO_PYTHON names another` }
  if (probe.status !== 0)
    return { reason: `${command}: ${probe.stderr.trim().split('\n').at(-1)}; IMAGO_PYTHON names another` }
  return { command, torch: probe.stdout.trim() }
}
