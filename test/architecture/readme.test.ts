import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DemoResult } from '@imago/papers'
import { expect, it } from 'vitest'
import { root } from './cruise.js'

const readme = readFileSync(join(root, 'README.md'), 'utf8')

it('the table of the README is the recorded run of seed 1, and its ranges are those of all seeds', () => {
  const results = JSON.parse(readFileSync(join(root, 'docs/results/demo-5-seeds.json'), 'utf8')) as DemoResult[]
  const first = results.find(({ seed }) => seed === 1)!
  for (const { name, errors, rows, parameters } of first.rows)
    expect(readme).toMatch(
      new RegExp(`^${name} +${errors} of ${rows} +\\d\\.\\d\\d % +${parameters.toLocaleString('en')} `, 'm'),
    )
  const ends = (values: number[], digits: number): string[] =>
    [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits))
  const text = readme.replace(/\s+/g, ' ')
  const ratios = results.map(({ ratio }) => ratio)
  const gaps = results.map(({ gapClosed }) => 100 * gapClosed)
  expect(text).toContain(`makes ${ends(ratios, 2).join(' to ')} times the teacher's errors`)
  expect(text).toContain(`closes ${ends(gaps, 0).join(' to ')} % of the gap`)
})
