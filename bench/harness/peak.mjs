import { readFileSync, writeFileSync } from 'node:fs'

/** Resident memory now. */
export function resident() {
  return process.memoryUsage.rss()
}

/** Forget the highest resident memory so far, where Linux can. */
export function forgetPeak() {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // Then the peak is the highest since the process began.
  }
}

/** The highest resident memory since then. */
export function peak() {
  try {
    return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
  } catch {
    return 1024 * process.resourceUsage().maxRSS
  }
}
