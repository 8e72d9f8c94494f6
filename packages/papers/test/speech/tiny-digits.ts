import type { SpokenDigit, SpokenDigits } from '@imago/data'
import { type Rng, rng } from '@imago/tensor'

const phones = ['A', 'B', 'C']
const states = ['sil', ...phones.flatMap((phone) => [0, 1, 2].map((part) => `${phone}_${part}`))]

/**
 * Words of three made-up phones as sound: each state is a tone of its own, at a pitch of the speaker, under noise. What an acoustic model
 * has to do, in small, with an alignment that is right by construction.
 */
export function tinyDigits(options: { readonly speakers: readonly string[]; readonly takes: number }): SpokenDigits {
  const lexicon = [
    ['A', 'B'],
    ['B', 'C'],
    ['C', 'A', 'C'],
  ]
  const random = rng(11)
  const utterances = options.speakers.flatMap((speaker, s) =>
    lexicon.flatMap((word, digit) =>
      Array.from({ length: options.takes }, (_, index) =>
        spoken(word, { digit, speaker, index }, 1 + 0.07 * s, random),
      ),
    ),
  )
  return { utterances, rate: 8000, states, lexicon }
}

function spoken(
  word: readonly string[],
  who: Pick<SpokenDigit, 'digit' | 'speaker' | 'index'>,
  pitch: number,
  random: Rng,
): SpokenDigit {
  const names = ['sil', ...word.flatMap((phone) => [0, 1, 2].map((part) => `${phone}_${part}`)), 'sil']
  const aligned = names.flatMap((name) => new Array<number>(2 + random.integer(3)).fill(states.indexOf(name)))
  const samples = new Int16Array(200 + 80 * (aligned.length - 1))
  for (let i = 0; i < samples.length; i++) {
    const state = aligned[Math.min(aligned.length - 1, Math.floor(i / 80))]!
    const tone = state === 0 ? 0 : Math.sin((2 * Math.PI * (250 + 330 * state) * pitch * i) / 8000)
    samples[i] = Math.round(1200 * tone + 700 * random.normal())
  }
  return { ...who, samples, states: Uint8Array.from(aligned) }
}
