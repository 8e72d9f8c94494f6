import { describe, expect, it } from 'vitest'
import { table } from '../../src/terminal/table.js'

describe('table', () => {
  it('puts numbers to the right and words to the left', () => {
    expect(
      table([
        ['model', 'errors'],
        ['teacher', '67'],
        ['student', '146'],
      ]),
    ).toBe(['model    errors', '───────  ──────', 'teacher      67', 'student     146'].join('\n'))
  })

  it('counts characters, not code units', () => {
    const [, rule] = table([
      ['T', 'note'],
      ['∞', '𝛼𝛽𝛾𝛿𝜀'],
    ]).split('\n')
    expect(rule).toBe('─  ─────')
  })
})
