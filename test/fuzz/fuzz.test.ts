import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type Base, fuzz, mutant } from './runner/fuzz.mjs'

/** Small files of both exporters; `npm run fuzz` does the same to the ONNX backend tests, a million times. */
const models: Base[] = ['import', 'modules'].flatMap((room) => {
  const folder = fileURLToPath(new URL(`../golden/${room}/`, import.meta.url))
  const files = readdirSync(folder).filter((file) => file.endsWith('.onnx'))
  return files.map((name) => ({ name, bytes: readFileSync(folder + name) }))
})

test('a damaged or lying model is refused with an error of imago, whatever is wrong with it', () => {
  const { passed, refused, faults } = fuzz(models, { seed: 1, from: 0, to: 800 })
  expect(faults.map(({ mutant, name, error }) => `${mutant} (${name}): ${error.slice(0, 600)}`)).toEqual([])
  expect(passed).toBeGreaterThan(0)
  expect(refused).toBeGreaterThan(300)
})

test('a mutant is a function of its number', () => {
  expect(mutant(models, 1, 77)).toEqual(mutant(models, 1, 77))
  expect(mutant(models, 1, 77).bytes).not.toEqual(mutant(models, 1, 78).bytes)
})
