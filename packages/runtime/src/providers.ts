import { builder, encode } from '@imago/onnx'
import { createEngine } from './engine.js'
import { reasonOf } from './errors.js'
import { onnxruntime } from './onnxruntime.js'

export interface ProviderReport {
  readonly name: string
  readonly available: boolean
  /** Why it is not available. */
  readonly reason?: string
}

export interface RuntimeReport {
  /** Of onnxruntime-node; absent where it does not load. */
  readonly version?: string
  /** Why it does not load. */
  readonly reason?: string
  readonly providers: readonly ProviderReport[]
}

/** What works here, for people who ask why something does not. Never throws for what is missing. */
export async function runtimeReport(): Promise<RuntimeReport> {
  try {
    const { env } = await onnxruntime()
    return { version: env.versions.node ?? env.versions.common, providers: await providers() }
  } catch (error) {
    return { reason: reasonOf(error), providers: [] }
  }
}

/** Which execution providers of ONNX Runtime work here, found out by opening a session of one node with each. */
export async function providers(): Promise<ProviderReport[]> {
  const ort = await onnxruntime()
  const b = builder()
  b.input('x', 'float32', [1])
  b.op('Relu', ['x'], {}, { outputs: ['y'] })
  b.output('y', 'float32', [1])
  const probe = encode({
    irVersion: 8,
    opsets: new Map([['', 17]]),
    producer: 'imago',
    graph: b.graph(),
    metadata: new Map(),
    functions: [],
  })
  const reports: ProviderReport[] = []
  const level = ort.env.logLevel
  // What does not work here is told in the report; read by ONNX Runtime once, at the first session of the process.
  ort.env.logLevel = 'fatal'
  for (const { name } of ort.listSupportedBackends()) reports.push(await probed(name))
  ort.env.logLevel = level ?? 'warning'
  return reports

  async function probed(name: string): Promise<ProviderReport> {
    try {
      const { session } = await createEngine(ort, 'probe', probe, { threads: 1, provider: name })
      await session.release()
      return { name, available: true }
    } catch (error) {
      return { name, available: false, reason: reasonOf((error as Error).cause ?? error) }
    }
  }
}
