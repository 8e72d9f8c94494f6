import type { VjpProgram } from '@imago/autodiff'
import { ArgumentError, isType, type TensorMap, tensor, tensorMap, UnsupportedError } from '@imago/tensor'
import type { BatchBuffers } from './batch-buffers.js'
import { batchRows } from './symbols.js'

const none: TensorMap = tensorMap()

/**
 * New running statistics: momentum · running + (1 − momentum) · batch, the batch's variance unbiased by m/(m − 1) as PyTorch
 * keeps it (m elements a channel). Into buffers; the parameters given are only read.
 */
export function statisticUpdates(
  program: VjpProgram,
  parameters: TensorMap,
  inputs: TensorMap,
  buffers: BatchBuffers,
): TensorMap {
  if (program.statistics.length === 0) return none
  const updates = tensorMap()
  for (const { parameter, value, momentum, perRow } of program.statistics) {
    const running = parameters[parameter]
    if (running === undefined || !isType(running, 'float32'))
      throw new ArgumentError(
        'forward',
        'parameters',
        `given the running statistic "${parameter}" (float32) too`,
        running,
      )
    const measured = buffers.activations[value]!.data as Float32Array
    const count = perRow * batchRows(program, inputs)
    if (perRow > 0 && count < 2)
      throw new UnsupportedError(
        `the running variance "${parameter}"`,
        'one value a channel has no variance; use more than one row in a batch',
      )
    const correction = perRow > 0 ? count / (count - 1) : 1
    const next = (buffers.statistics[parameter] ??= tensor(
      'float32',
      running.dims,
      new Float32Array(running.data.length),
    ))
    for (let i = 0; i < next.data.length; i++)
      next.data[i] = momentum * running.data[i]! + (1 - momentum) * correction * measured[i]!
    updates[parameter] = next
  }
  return updates
}
