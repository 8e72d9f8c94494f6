import fc from 'fast-check'
import { expect, it } from 'vitest'
import { repeatedKey } from '../src/repeated-key.js'

it.each([
  ['{"a": 1, "b": {"a": 2}, "c": [{"a": 3}, {"a": 4}]}', undefined],
  ['{"a": 1, "a": 2}', 'a'],
  ['{"a": 1, "\\u0061": 2}', 'a'],
  ['{"map": {"x": "\\"x\\": {", "y": [], "x": 1}}', 'map.x'],
  ['[{"k": 1}, {"k": 1, "l": {"m": 0, "m": 0}}]', 'l.m'],
])('%s', (text, path) => {
  JSON.parse(text)
  expect(repeatedKey(text)).toBe(path)
})

it('finds none in what JSON.stringify wrote, however deep', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(repeatedKey(JSON.stringify(value))).toBeUndefined()
    }),
  )
  expect(repeatedKey(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`)).toBeUndefined()
})
