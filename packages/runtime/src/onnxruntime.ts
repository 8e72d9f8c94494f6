import { NotFoundError, UnsupportedError } from '@imago/tensor'

export type OnnxRuntime = typeof import('onnxruntime-node')
export type OrtSession = import('onnxruntime-node').InferenceSession
export type OrtTensor = import('onnxruntime-node').Tensor

/**
 * onnxruntime-node, loaded where it is first needed: it is a peer dependency, and most of imago works without it.
 *
 * @throws NotFoundError where it is not installed, UnsupportedError where it does not load
 */
export async function onnxruntime(): Promise<OnnxRuntime> {
  try {
    const loaded = await import('onnxruntime-node')
    return (loaded as { default?: OnnxRuntime }).default ?? loaded
  } catch (cause) {
    if ((cause as { code?: string }).code === 'ERR_MODULE_NOT_FOUND')
      throw new NotFoundError(
        'onnxruntime-node is not installed',
        'Install it beside imago: ONNXRUNTIME_NODE_INSTALL=skip npm i onnxruntime-node',
        { cause },
      )
    throw new UnsupportedError('onnxruntime-node', `does not load here (${(cause as Error).message})`, { cause })
  }
}
