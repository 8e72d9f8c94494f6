import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'

const taskset = process.platform === 'linux' && spawnSync('taskset', ['--version']).status === 0

/** Whether processes can be tied to cores here. */
export const canPin = taskset

/**
 * A child process that answers one JSON line to each JSON line: one contender of a benchmark, tied to `cores`.
 * Requests go one at a time, so that only one contender works at any time.
 */
export function startSide(name, command, args, { cores, env = {} }) {
  const [program, ...rest] =
    taskset && cores ? ['taskset', '-c', cores.join(','), command, ...args] : [command, ...args]
  const child = spawn(program, rest, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
  let errors = ''
  let waiting
  child.stderr.on('data', (text) => {
    errors = (errors + text).slice(-4000)
  })
  const settle = (error, value) => {
    const last = waiting
    waiting = undefined
    if (error) last?.reject(error)
    else last?.resolve(value)
  }
  child.on('error', (error) => settle(error))
  child.on('exit', (code, signal) => settle(new Error(`${name} ended (${signal ?? code}): ${errors.trim()}`)))
  createInterface({ input: child.stdout }).on('line', (line) => {
    let answer
    try {
      answer = JSON.parse(line)
    } catch {
      // A library that prints to standard output is no answer.
      errors = `${errors}${line}\n`.slice(-4000)
      return
    }
    if (answer.error) settle(new Error(`${name}: ${answer.error}`))
    else settle(undefined, answer)
  })
  return {
    name,
    request(op, body = {}) {
      if (waiting) return Promise.reject(new Error(`${name} is busy`))
      if (child.exitCode !== null || child.signalCode !== null)
        return Promise.reject(new Error(`${name} is gone: ${errors.trim()}`))
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        child.stdin.write(`${JSON.stringify({ op, ...body })}\n`)
      })
    },
    stop() {
      child.removeAllListeners('exit')
      return new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve()
        child.on('exit', () => resolve())
        child.stdin.end()
        // One that does not end by itself within a second is ended.
        setTimeout(() => child.kill('SIGKILL'), 1000).unref()
      })
    },
  }
}

/** A process that does one thing, tied to `cores`: the JSON line that it says. */
export function startOnce(name, command, args, { cores, env = {} }) {
  const [program, ...rest] =
    taskset && cores ? ['taskset', '-c', cores.join(','), command, ...args] : [command, ...args]
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let [out, errors] = ['', '']
    child.stdout.on('data', (text) => (out += text))
    child.stderr.on('data', (text) => (errors = (errors + text).slice(-4000)))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(out.trim().split('\n').at(-1)))
      else reject(new Error(`${name}: ${errors.trim()}`))
    })
  })
}
