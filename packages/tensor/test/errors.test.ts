import { expect, describe as group, test } from 'vitest'
import {
  ArgumentError,
  describe,
  FormatError,
  ImagoError,
  NotFoundError,
  NumericError,
  ShapeError,
  StateError,
  UnsupportedError,
} from '../src/index.js'

test.each([
  [new ArgumentError('f', 'x', 'a number', '4'), 'ERR_ARGUMENT', 'ArgumentError', 'f: "x" must be a number, got "4"'],
  [new ShapeError('f', 'x', '[N]', '[2, 3]'), 'ERR_SHAPE', 'ShapeError', 'f: "x" must be [N], got [2, 3]'],
  [new FormatError('a.npy: byte 7', 'not a header'), 'ERR_FORMAT', 'FormatError', 'a.npy: byte 7: not a header'],
  [new NotFoundError('No model a.onnx', 'Look in b'), 'ERR_NOT_FOUND', 'NotFoundError', 'No model a.onnx. Look in b'],
  [new UnsupportedError('op Loop', 'no rule'), 'ERR_UNSUPPORTED', 'UnsupportedError', 'op Loop: no rule'],
  [new NumericError('loss', 'NaN in row 3'), 'ERR_NUMERIC', 'NumericError', 'loss: NaN in row 3'],
  [new StateError('Disposed', 'Open it anew'), 'ERR_STATE', 'StateError', 'Disposed. Open it anew'],
])('%o', (error, code, name, message) => {
  expect(error).toBeInstanceOf(ImagoError)
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({ code, name, message })
})

test('a cause is kept', () => {
  const cause = new Error('why')
  expect(new ArgumentError('f', 'x', 'y', 1, { cause }).cause).toBe(cause)
  expect(new StateError('a', 'b', { cause }).cause).toBe(cause)
})

group('describe', () => {
  test.each([
    ['a', '"a"'],
    ['line\nbreak \u001b[31m', '"line\\nbreak \\u001b[31m"'],
    ['x'.repeat(100), `"${'x'.repeat(77)}..."`],
    [4, '4'],
    [-0, '-0'],
    [Number.NaN, 'NaN'],
    [4n, '4n'],
    [null, 'null'],
    [undefined, 'undefined'],
    [true, 'true'],
    [Symbol('s'), 'Symbol(s)'],
    [new Float32Array(3), 'Float32Array(3)'],
    [new DataView(new ArrayBuffer(2)), 'DataView'],
    [[1, 'b', [2]], '[1, "b", [2]]'],
    [Array(9).fill(0), '[0, 0, 0, 0, 0, 0, 0, 0, …]'],
    [{ a: 1 }, 'Object'],
    [Object.create(null), 'object'],
    [new Date(0), 'Date'],
  ])('%o', (value, text) => {
    expect(describe(value)).toBe(text)
  })

  test('a function and an endless list stay short and on one line', () => {
    const endless: unknown[] = []
    endless.push(endless)
    for (const value of [() => 'a\nb'.repeat(500), endless]) {
      const text = describe(value)
      expect(text.length).toBeLessThan(200)
      expect(text).not.toContain('\n')
    }
  })
})
