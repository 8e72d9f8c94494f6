import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { printable } from '../../src/terminal/printable.js'

describe('printable', () => {
  it('shows what would steer a terminal', () => {
    expect(printable('\u001b[2Jx\r\u009b1m\u202ey\u0007')).toBe('\\u001b[2Jx\\u000d\\u009b1m\\u202ey\\u0007')
  })

  it('leaves words, lines and tabs alone', () => {
    const text = 'größe\t→ 日本語 😀\n'
    expect(printable(text)).toBe(text)
  })

  it('keeps JSON what it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value, null, 2)
        expect(JSON.parse(printable(text))).toEqual(JSON.parse(text))
      }),
    )
  })
})
