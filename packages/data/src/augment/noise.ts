import { ArgumentError, type Tensor, tensor, tensorMap } from '@imago/tensor'
import type { Augment } from '../batch.js'
import { chosenInputs } from './chosen-inputs.js'

/**
 * Adds normal noise of deviation `std` to float32 inputs (to the named one, or to all that are float32).
 *
 * @throws ArgumentError for a std below 0 or an input that is not there or not float32
 */
export function noise(std: number, options: { readonly input?: string } = {}): Augment {
  if (!(Number.isFinite(std) && std >= 0)) throw new ArgumentError('noise', 'std', 'a finite number ≥ 0', std)
  return (batch, random) => {
    const chosen = chosenInputs('noise', batch, options.input)
    const inputs = tensorMap(
      Object.keys(batch.inputs).map((name) => {
        const value = batch.inputs[name]!
        return [name, chosen.has(name) ? noisy(value as Tensor<'float32'>) : value]
      }),
    )
    return { ...batch, inputs }

    function noisy(value: Tensor<'float32'>): Tensor<'float32'> {
      const out = value.data.slice()
      // Box–Muller gives two independent numbers from two words; `Rng.normal` would throw one away.
      for (let i = 0; i < out.length; i += 2) {
        const radius = std * Math.sqrt(-2 * Math.log((random.uint32() + 0.5) * 2 ** -32))
        const angle = 2 * Math.PI * random.uniform()
        out[i] = out[i]! + radius * Math.cos(angle)
        if (i + 1 < out.length) out[i + 1] = out[i + 1]! + radius * Math.sin(angle)
      }
      return tensor('float32', value.dims, out)
    }
  }
}
