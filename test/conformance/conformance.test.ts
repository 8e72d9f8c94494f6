import { expect, test } from 'vitest'
import { conformance, isCore, type Result } from './runner/conformance.mjs'
import { findCases, openCases } from './runner/open-cases.mjs'
import { verdict, wrong } from './runner/summary.mjs'

const folder = process.env.IMAGO_DATA_DIR
const path = folder === undefined ? undefined : findCases(folder)
const isThere = path !== undefined
if (!isThere)
  console.log(
    `conformance: skipped, ${folder === undefined ? 'IMAGO_DATA_DIR is not set' : 'IMAGO_DATA_DIR has no conformance data'}`,
  )

/** The answers that are not as wanted, so that a failure says which and why. */
function others<E extends { readonly name: string; readonly answer: string; readonly why?: string }>(
  entries: readonly E[],
  answer: string,
): string[] {
  return entries.filter((entry) => entry.answer !== answer).map(({ name, why }) => `${name}: ${why}`)
}

test.skipIf(!isThere)(
  'the core cases: every gradient as its reference, outputs the same after the passes',
  async () => {
    const result = await conformance(openCases(path!), { only: isCore })
    expect(result.gradients.length).toBeGreaterThanOrEqual(493)
    expect(others(result.gradients, 'pass')).toEqual([])
    expect(others(result.structure, 'same')).toEqual([])
    expect(result.roundTrip.filter(({ same }) => !same)).toEqual([])
  },
)

test.skipIf(!isThere)('a seventh of the other cases: nothing wrong, most pass', async () => {
  const cases = openCases(path!)
  const some = new Set(cases.index.cases.filter((_, i) => i % 7 === 3).map(({ name }) => name))
  const result = await conformance(cases, {
    parts: ['gradients'],
    only: (record, base) => some.has(record.name) && !isCore(record, base) && record.ort.status === 'pass',
  })
  expect(others(result.gradients, 'pass').filter((line) => !/cannot be differentiated/.test(line))).toEqual([])
  expect(wrong(result)).toBe(0)
  const passed = result.gradients.filter(({ answer }) => answer === 'pass').length
  expect(passed / result.gradients.length).toBeGreaterThan(0.9)
})

test('the last line and what fails', () => {
  const entry = { name: 'a', core: true, runs: true }
  const result: Result = {
    roundTrip: [
      { ...entry, same: true },
      { ...entry, same: false, why: 'one byte' },
    ],
    structure: [{ ...entry, answer: 'different', why: 'y, by one bit' }],
    gradients: [
      { ...entry, answer: 'pass' },
      { ...entry, answer: 'refused', why: 'no rule' },
      { ...entry, answer: 'wrong', why: '1 in place of 2' },
    ],
  }
  expect(verdict(result)).toBe('round trip 1/2 · pass 1 · refused 1 · wrong 1')
  expect(wrong(result)).toBe(3)
})
