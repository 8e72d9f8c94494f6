import { ArgumentError, UnsupportedError, zeros } from '@imago/tensor'
import { afterEach, describe, expect, test } from 'vitest'
import { type Backend, backends, native, softmax, useBackend } from '../src/index.js'

afterEach(() => useBackend('auto'))

const chosen = (): string[] =>
  backends()
    .filter((backend) => backend.chosen)
    .map(({ name }) => name)

test('every backend is listed with what it is or why it is not', () => {
  expect(backends().map(({ name }) => name)).toEqual(['cpu', 'reference', 'cuda'])
  for (const { available, reason } of backends()) expect(available).toBe(reason === undefined)
  expect(chosen()).toEqual([native().binding === null ? 'reference' : 'cpu'])
})

test.skipIf(native().binding === null)('the addon tells its file, its instruction sets and its threads', () => {
  const [cpu] = backends()
  expect(cpu!.path).toMatch(/\.node$/)
  expect(cpu!.isas).toContain(cpu!.isa)
  expect(cpu!.threads).toBeGreaterThanOrEqual(1)
})

describe('useBackend', () => {
  test('changes what auto means, and back', () => {
    useBackend('reference')
    expect(chosen()).toEqual(['reference'])
    softmax({ logits: zeros('float32', [1, 2]) })
    useBackend('auto')
    expect(chosen()).toEqual([native().binding === null ? 'reference' : 'cpu'])
  })

  test('refuses what is not there and keeps what was', () => {
    useBackend('reference')
    expect(() => useBackend('cuda')).toThrow(UnsupportedError)
    expect(() => useBackend('gpu' as Backend)).toThrow(ArgumentError)
    expect(chosen()).toEqual(['reference'])
  })
})
