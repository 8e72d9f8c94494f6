import { join } from 'node:path'
import { FormatError, type Tensor } from '@imago/tensor'
import { smallTable } from '../csv/small-table.js'
import { readIdx } from '../idx/read-idx.js'
import { findFolder } from '../io/find-folder.js'

/** One recording of one digit. */
export interface SpokenDigit {
  readonly digit: number
  readonly speaker: string
  /** Which of the speaker's recordings of this digit; 0 … 4 are the authors' test split. */
  readonly index: number
  /** 8 kHz, 16 bit. */
  readonly samples: Int16Array
  /** The HMM state of each frame (25 ms every 10 ms), by forced alignment. */
  readonly states: Uint8Array
}

export interface SpokenDigits {
  readonly utterances: readonly SpokenDigit[]
  /** Samples a second. */
  readonly rate: number
  /** State → name: `sil`, then three states a phone, `AH_0`, `AH_1`, `AH_2`. */
  readonly states: readonly string[]
  /** Digit → its phones. */
  readonly lexicon: readonly (readonly string[])[]
}

const files = {
  samples: 'pcm-8khz-i16.idx.gz',
  states: 'hmm-states-u8.idx.gz',
  utterances: 'utterances.csv.gz',
  names: 'states.csv',
  lexicon: 'lexicon.csv',
} as const

/**
 * The Free Spoken Digit Dataset (Jackson et al., CC BY-SA 4.0) with an alignment of its frames to HMM states, as one folder `fsdd`: the samples
 * of all utterances one behind the other, where each begins, and the state of each frame.
 *
 * @param options `dataDir`: the files lie in it, in its `fsdd` or in its `data/fsdd`
 * @throws NotFoundError saying where it was looked for, FormatError naming the file and line that does not fit the others
 */
export async function fsdd(options: { readonly dataDir?: string }): Promise<SpokenDigits> {
  const folder = await findFolder(options.dataDir, { name: 'fsdd', file: files.utterances, what: 'spoken digits' })
  const at = (file: keyof typeof files): string => join(folder, files[file])
  const samples = vector(await readIdx(at('samples')), 'int16', at('samples')) as Int16Array
  const aligned = vector(await readIdx(at('states')), 'uint8', at('states')) as Uint8Array
  const states = (await smallTable(at('names'), ['state', 'name', 'phone'])).map(([, name]) => name!)
  const lexicon = (await smallTable(at('lexicon'), ['digit', 'phones'])).map(([, phones]) => phones!.split(' '))
  const strange = lexicon.flat().find((phone) => ![0, 1, 2].every((part) => states.includes(`${phone}_${part}`)))
  if (strange !== undefined) throw new FormatError(at('lexicon'), `phone ${strange} has no states in ${files.names}`)
  const most = aligned.reduce((a, b) => Math.max(a, b), 0)
  if (most >= states.length)
    throw new FormatError(at('states'), `holds state ${most}, and ${files.names} names ${states.length}`)

  const header = ['digit', 'speaker', 'index', 'first_sample', 'samples', 'first_frame', 'frames']
  const lines = await smallTable(at('utterances'), header)
  const utterances = lines.map((cells, i): SpokenDigit => {
    const [digit, index, firstSample, count, firstFrame, frames] = [0, 2, 3, 4, 5, 6].map((c) => Number(cells[c])) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    const fits = (first: number, size: number, all: number): boolean =>
      Number.isSafeInteger(first) && Number.isSafeInteger(size) && first >= 0 && size >= 0 && first + size <= all
    if (!(fits(firstSample, count, samples.length) && fits(firstFrame, frames, aligned.length) && lexicon[digit]))
      throw new FormatError(
        `${at('utterances')}, line ${i + 2}`,
        `does not fit the samples, states and digits beside it`,
      )
    return {
      digit,
      speaker: cells[1]!,
      index,
      samples: samples.subarray(firstSample, firstSample + count),
      states: aligned.subarray(firstFrame, firstFrame + frames),
    }
  })
  return { utterances, rate: 8000, states, lexicon }
}

function vector({ type, dims, data }: Tensor, wanted: string, name: string): Tensor['data'] {
  if (type === wanted && dims.length === 1) return data
  throw new FormatError(name, `must hold ${wanted} [N], holds ${type} [${dims.join(', ')}]`)
}
