import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, platform, release, totalmem } from 'node:os'

/** What a number is worth nothing without. */
export function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    caches: caches(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${platform()} ${release()} ${process.arch}`,
  }
}

/** `L1 48K, L2 1024K, L3 32768K`, where Linux says so. */
function caches() {
  const found = []
  for (let i = 0; ; i++) {
    try {
      const read = (name) => readFileSync(`/sys/devices/system/cpu/cpu0/cache/index${i}/${name}`, 'utf8').trim()
      if (read('type') !== 'Instruction') found.push(`L${read('level')} ${read('size')}`)
    } catch {
      return found.join(', ')
    }
  }
}

/** How many cores others keep busy now, over one second: unlike the load average it forgets at once. */
export async function busyCores() {
  const spent = () => {
    const times = cpus().map((core) => core.times)
    const sum = (of) => times.reduce((total, one) => total + of(one), 0)
    return { all: sum((t) => t.user + t.nice + t.sys + t.idle + t.irq), idle: sum((t) => t.idle) }
  }
  const before = spent()
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const after = spent()
  return cpus().length * (1 - (after.idle - before.idle) / (after.all - before.all))
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
  const command = process.env.IMAGO_PYTHON ?? 'python3'
  const probe = spawnSync(
    command,
    ['-c', 'import sys, torch, numpy; print(torch.__version__, sys.version.split()[0])'],
    {
      encoding: 'utf8',
    },
  )
  if (probe.error) return { reason: `${command} does not start (${probe.error.code}); IMAGO_PYTHON names another` }
  if (probe.status !== 0)
    return { reason: `${command}: ${probe.stderr.trim().split('\n').at(-1)}; IMAGO_PYTHON names another` }
  const [torch, version] = probe.stdout.trim().split(' ')
  return { command, torch, version }
}
