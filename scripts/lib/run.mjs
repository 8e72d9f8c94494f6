import { spawnSync } from 'node:child_process'

/** Run a program with our standard streams; returns its exit code. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { stdio: 'inherit', ...options })
  if (result.error) throw result.error
  return result.status ?? (result.signal === 'SIGINT' ? 130 : 1)
}

/** Run a JavaScript file with this Node. */
export function runNode(file, args = [], options = {}) {
  return run(process.execPath, [file, ...args], options)
}
