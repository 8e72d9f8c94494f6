import { ArgumentError } from '@imago/tensor'
import type { Frames } from './log-mel.js'

/**
 * Give each band mean 0 and deviation 1 over all frames of a group (a speaker, an utterance): what microphones and voices
 * differ in most goes, and no label is read. A band that does not change becomes 0.
 *
 * @throws ArgumentError for groups of other bands
 */
export function normaliseFrames(group: readonly Frames[]): Frames[] {
  const bands = group[0]?.bands ?? 1
  const other = group.find((frames) => frames.bands !== bands)
  if (other)
    throw new ArgumentError('normaliseFrames', 'group', `frames of ${bands} bands each`, `${other.bands} bands`)
  const mean = new Float64Array(bands)
  const square = new Float64Array(bands)
  const rows = group.reduce((sum, { length }) => sum + length, 0)
  for (const { data } of group) for (let i = 0; i < data.length; i++) mean[i % bands]! += data[i]! / rows
  for (const { data } of group)
    for (let i = 0; i < data.length; i++) square[i % bands]! += (data[i]! - mean[i % bands]!) ** 2 / rows
  // Rounding leaves a constant band a deviation of about 1e-16 of its mean.
  const scale = square.map((value, band) => {
    const deviation = Math.sqrt(value)
    return deviation > 1e-9 * (1 + Math.abs(mean[band]!)) ? 1 / deviation : 0
  })
  return group.map(({ length, data }) => ({
    length,
    bands,
    data: data.map((value, i) => (value - mean[i % bands]!) * scale[i % bands]!),
  }))
}
