import { createRequire } from 'node:module'
import { native } from '@imago/kernels'

/** Time and calls inside the native code, while `clock` runs. */
const inside = { on: false, milliseconds: 0, calls: 0 }

function clocked(call) {
  if (!inside.on) return call()
  const start = performance.now()
  try {
    return call()
  } finally {
    inside.milliseconds += performance.now() - start
    inside.calls++
  }
}

/**
 * Put a clock around the two doors into native code: our kernels' binding, and the native session under onnxruntime-node's
 * JavaScript, whose `run` returns when the graph has run. Sessions are only clocked where they are opened after this.
 */
export function installClock() {
  const { binding } = native()
  if (binding) {
    const { call } = binding
    binding.call = (...args) => clocked(() => call.apply(binding, args))
  }
  const require = createRequire(import.meta.url)
  const folder = require.resolve('onnxruntime-node/package.json').replace(/package\.json$/, '')
  const ort = require(`${folder}dist/binding.js`)
  // The method itself is read-only, the class can be exchanged.
  ort.binding.InferenceSession = class extends ort.binding.InferenceSession {
    run(...args) {
      return clocked(() => super.run(...args))
    }
  }
}

/**
 * The share of the time that is spent outside ONNX Runtime and the native kernels: JavaScript, garbage collection, the event
 * loop. N-API's packing of arguments counts as inside; the clock itself (some 0.1 µs a call) as outside.
 */
export async function measureOverhead(run, iterations) {
  Object.assign(inside, { on: true, milliseconds: 0, calls: 0 })
  try {
    const start = performance.now()
    await run()
    const total = performance.now() - start
    const outside = total - inside.milliseconds
    return {
      milliseconds: total / iterations,
      outside: outside / iterations,
      percent: (100 * outside) / total,
      calls: inside.calls / iterations,
    }
  } finally {
    inside.on = false
  }
}
