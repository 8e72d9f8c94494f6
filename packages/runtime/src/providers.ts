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
  for (const { name } of ort.listSupportedBackends()) {
    try {
      const { session } = await createEngine(ort, 'probe', probe, { threads: 1, provider: name })
      await session.release()
      reports.push({ name, available: true })
    } catch (error) {
      reports.push({ name, available: false, reason: reasonOf(error) })
    }
  }
  return reports
}
