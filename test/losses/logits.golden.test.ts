import { readFileSync } from 'node:fs'
import { logitStandardization, nkd, softTarget } from '@imago/losses'
import { tensor, tensorMap } from '@imago/tensor'
import { describe, expect, it } from 'vitest'

interface Case {
  readonly loss: 'nkd' | 'standardized'
  readonly options: { readonly temperature: number; readonly gamma?: number }
  readonly student: { readonly dims: number[]; readonly data: number[] }
  readonly teacher: { readonly dims: number[]; readonly data: number[] }
  readonly labels: number[]
  readonly value: number
  readonly gradient: { readonly data: number[] }
}

const file = new URL('../golden/losses/logits.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Case[] }
const losses = { nkd, standardized: (options: Case['options']) => logitStandardization(softTarget(options)) }

describe('losses on logits against PyTorch in float64, by the formulas of the authors’ code', () => {
  it.each(cases.map((one) => [`${one.loss} ${JSON.stringify(one.options)}`, one] as const))('%s', (_, golden) => {
    const logits = ({ dims, data }: Case['student']) => tensor('float32', dims, Float32Array.from(data))
    const { value, cotangents } = losses[golden.loss](golden.options).evaluate(
      tensorMap([['logits', logits(golden.student)]]),
      tensorMap([
        ['logits', logits(golden.teacher)],
        ['labels', tensor('int32', [golden.labels.length], Int32Array.from(golden.labels))],
      ]),
    )
    expect(value).toBeCloseTo(golden.value, 5)
    const gradient = cotangents.logits!.data as Float32Array
    golden.gradient.data.forEach((wanted, i) => {
      expect(gradient[i]).toBeCloseTo(wanted, 5)
    })
  })
})
