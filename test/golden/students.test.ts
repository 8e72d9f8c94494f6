import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { expectTrained } from './students/expect-trained.js'

/**
 * The 23 students, each as both of PyTorch's exporters write it, through the door that users take: the file's bytes, `openStudent`,
 * twenty steps of SGD with batches of 8, 8 and 5 rows. PyTorch in float64 did the same (students/make.py).
 */
const folder = fileURLToPath(new URL('students/', import.meta.url))
const files = readdirSync(folder).filter((file) => file.endsWith('.onnx'))

it('there are 23, by two exporters', () => {
  expect(files.length).toBe(46)
})

it.each(files)('%s trains as PyTorch does', (file) => expectTrained(folder, file))
