import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { FormatError, NotFoundError } from '@imago/tensor'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fsdd, logMel, readIdx } from '../../src/index.js'
import { encodeIdx } from '../idx/encode-idx.js'

const shared = process.env.IMAGO_DATA_DIR
const folder = shared === undefined ? undefined : [join(shared, 'fsdd'), join(shared, 'data', 'fsdd')].find(existsSync)
if (folder === undefined)
  console.log(`spoken digits: skipped, ${shared ? `not found in ${shared}` : 'IMAGO_DATA_DIR is not set'}`)

describe.skipIf(folder === undefined)('the spoken digits', () => {
  it('are as published, and our features those that lie beside them', async () => {
    const { utterances, states, lexicon, rate } = await fsdd({ dataDir: shared! })
    expect(utterances).toHaveLength(2500)
    expect(states).toHaveLength(58)
    expect(lexicon[8]).toEqual(['EY', 'T'])
    expect([...new Set(utterances.map(({ speaker }) => speaker))]).toEqual([
      'george',
      'jackson',
      'lucas',
      'nicolas',
      'theo',
    ])
    const features = logMel({ rate })
    const theirs = await readIdx(join(folder!, 'fbank40-x100-i16.idx.gz'))
    let at = 0
    let worst = 0
    for (const { samples, states: aligned } of utterances) {
      const { length, data } = features(samples)
      expect(length).toBe(aligned.length)
      for (const value of data) worst = Math.max(worst, Math.abs(100 * value - Number(theirs.data[at++])))
    }
    expect(at).toBe(theirs.data.length)
    // Theirs are rounded to hundredths of a nat.
    expect(worst).toBeLessThan(0.501)
  })
})

describe('a folder of spoken digits', () => {
  let root: string
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'imago-fsdd-'))
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  const head = 'digit,speaker,index,first_sample,samples,first_frame,frames\n'
  const good = {
    'pcm-8khz-i16.idx.gz': gzipSync(encodeIdx(11, [6], [1, -2, 3, -4, 5, -6])),
    'hmm-states-u8.idx.gz': gzipSync(encodeIdx(8, [3], [0, 1, 3])),
    'utterances.csv.gz': gzipSync(`${head}0,ann,7,0,4,0,2\n1,bob,0,4,2,2,1\n`),
    'states.csv': 'state,name,phone\n0,sil,sil\n1,A_0,A\n2,A_1,A\n3,A_2,A\n',
    'lexicon.csv': 'digit,phones\r\n0,A\r\n1,A A\r\n',
  }
  const write = (files: { readonly [name: string]: string | Uint8Array }): string => {
    const path = mkdtempSync(join(root, 'fsdd-'))
    for (const [name, content] of Object.entries({ ...good, ...files })) writeFileSync(join(path, name), content)
    return path
  }

  it('is read', async () => {
    const { utterances, lexicon, states } = await fsdd({ dataDir: write({}) })
    expect(states).toEqual(['sil', 'A_0', 'A_1', 'A_2'])
    expect(lexicon).toEqual([['A'], ['A', 'A']])
    expect(utterances).toEqual([
      { digit: 0, speaker: 'ann', index: 7, samples: Int16Array.of(1, -2, 3, -4), states: Uint8Array.of(0, 1) },
      { digit: 1, speaker: 'bob', index: 0, samples: Int16Array.of(5, -6), states: Uint8Array.of(3) },
    ])
  })

  it.each([
    ['samples beyond the end', { 'utterances.csv.gz': gzipSync(`${head}0,ann,7,3,4,0,2\n`) }, /line 2/],
    ['frames beyond the end', { 'utterances.csv.gz': gzipSync(`${head}0,ann,7,0,4,2,2\n`) }, /line 2/],
    ['a digit without phones', { 'utterances.csv.gz': gzipSync(`${head}2,ann,7,0,4,0,2\n`) }, /line 2/],
    ['a number that is none', { 'utterances.csv.gz': gzipSync(`${head}0,ann,7,x,4,0,2\n`) }, /line 2/],
    ['a ragged line', { 'utterances.csv.gz': gzipSync(`${head}0,ann,7,0,4,0\n`) }, /6 fields for 7 columns/],
    ['another header', { 'lexicon.csv': 'digit,words\n0,A\n' }, /line 1/],
    ['a phone without states', { 'lexicon.csv': 'digit,phones\n0,B\n' }, /phone B/],
    ['a state without a name', { 'hmm-states-u8.idx.gz': gzipSync(encodeIdx(8, [3], [0, 1, 4])) }, /state 4/],
    ['samples of another type', { 'pcm-8khz-i16.idx.gz': gzipSync(encodeIdx(8, [2], [1, 2])) }, /int16/],
    ['a table cut short', { 'utterances.csv.gz': gzipSync(head).subarray(0, 20) }, /utterances/],
  ])('is refused with %s', async (_, files, message) => {
    const error = await fsdd({ dataDir: write(files) }).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(FormatError)
    expect((error as Error).message).toMatch(message)
  })

  it('is missed with a word on where it was looked for', async () => {
    await expect(fsdd({ dataDir: root })).rejects.toThrow(NotFoundError)
    await expect(fsdd({})).rejects.toThrow(/without a folder/)
  })
})
