import { ImagoError } from '@imago/tensor'

/** ONNX Runtime refused or failed; what it said is in the message, its error is the `cause`. */
export class RuntimeError extends ImagoError {
  constructor(what: string, cause: unknown) {
    super('ERR_RUNTIME', `${what}: ${reasonOf(cause)}`, { cause })
  }
}

/** What went wrong, on one line: ONNX Runtime's messages are paths of its own sources and line breaks around the fact. */
export function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause)
  const told = text
    .replace(/\/onnxruntime_src\/\S+\s+/g, '')
    .replace(/\[ONNXRuntimeError\] : \d+ : /g, '')
    .replace(/\s+/g, ' ')
    .trim()
  return told.length > 400 ? `${told.slice(0, 397)}...` : told
}
