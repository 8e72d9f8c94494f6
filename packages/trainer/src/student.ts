import type { Differentiable } from '@imago/runtime'
import { type Predict, type TensorMap, tensorMap } from '@imago/tensor'

/** A model that can be trained, as training sees it; `openStudent` of @imago/runtime makes one of any ONNX model. */
export interface TrainableStudent {
  /** Every tensor of the model by name: those that are trained, and running statistics. They change in place. */
  readonly parameters: TensorMap
  readonly differentiable: Differentiable
}

/** A student's present state as a predictor: no dropout, running statistics. Results are copies, valid after the next call. */
export function predictStudent(student: TrainableStudent): Predict {
  return async (inputs, signal) => {
    signal?.throwIfAborted()
    const { outputs } = await student.differentiable.forward(student.parameters, inputs, { train: false })
    const copies = tensorMap()
    for (const name in outputs) {
      const { type, dims, data } = outputs[name]!
      copies[name] = { type, dims: [...dims], data: data.slice() as typeof data }
    }
    return copies
  }
}
