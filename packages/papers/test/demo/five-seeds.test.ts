import { readFileSync } from 'node:fs'
import { digits } from '@imago/data'
import { describe, expect, it } from 'vitest'
import { fingerprint } from '../../src/demo/demo.js'
import { type DemoResult, demoProtocol } from '../../src/index.js'

/** Written by `imago demo --seeds 1,2,3,4,5 --json`. */
const results = JSON.parse(
  readFileSync(new URL('../../../../docs/results/demo-5-seeds.json', import.meta.url), 'utf8'),
) as DemoResult[]

describe('the demo over five seeds, as recorded', () => {
  it('is of this protocol and of these drawings', () => {
    expect(results.map(({ seed }) => seed)).toEqual([1, 2, 3, 4, 5])
    for (const { seed, protocol, data } of results) {
      expect(protocol).toEqual(demoProtocol)
      expect(data).toBe(fingerprint(digits({ seed, train: 1, test: 1 })))
    }
  })

  it.each(results)(
    'seed $seed: labels alone ≥ 1.5 × the teacher’s errors, distillation closes ≥ half of the gap',
    (result) => {
      const [teacher, plain, distilled] = result.rows.map(({ errors }) => errors) as [number, number, number]
      expect(result.rows.map(({ rows }) => rows)).toEqual([demoProtocol.test, demoProtocol.test, demoProtocol.test])
      expect(plain / teacher).toBeGreaterThanOrEqual(1.5)
      expect((plain - distilled) / (plain - teacher)).toBeGreaterThanOrEqual(0.5)
      expect(result.ratio).toBeCloseTo(plain / teacher, 12)
      expect(result.gapClosed).toBeCloseTo((plain - distilled) / (plain - teacher), 12)
    },
  )
})
