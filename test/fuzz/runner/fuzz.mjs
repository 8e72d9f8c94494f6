import { decode, encode } from '@imago/onnx'
import { ImagoError, rng } from '@imago/tensor'
import { mutateBytes } from './mutate-bytes.mjs'
import { mutateModel } from './mutate-model.mjs'
import { probe } from './probe.mjs'

/** Mutant number i of these models: a function of the seed and i alone. */
export function mutant(models, seed, i) {
  const random = rng(seed).split(i)
  const base = random.integer(models.length)
  const other = models[random.integer(models.length)]
  const { name, bytes } = models[base]
  if (random.integer(2) === 0) return { name, bytes: mutateBytes(bytes, other.bytes, random) }
  try {
    return { name, bytes: encode(mutateModel(decode(bytes), decode(other.bytes), random)) }
  } catch (error) {
    // What encode refuses to write is no file.
    if (error instanceof ImagoError) return { name, bytes: mutateBytes(bytes, other.bytes, random) }
    throw error
  }
}

/** Mutants [from, to): how many pass, how many are refused, and the faults; `slow` lists those that took longer than `limit` ms. */
export function fuzz(models, { seed, from, to, limit = 2000, now = () => 0, progress = () => {} }) {
  const result = { passed: 0, refused: 0, faults: [], slow: [] }
  for (let i = from; i < to; i++) {
    progress(i)
    let name = ''
    const began = now()
    try {
      const made = mutant(models, seed, i)
      name = made.name
      result[probe(made.bytes)]++
    } catch (error) {
      result.faults.push({ mutant: i, name, error: String(error?.stack ?? error) })
    }
    if (now() - began > limit) result.slow.push({ mutant: i, name, ms: now() - began })
  }
  return result
}
