import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { expectTrained } from './students/expect-trained.js'

/**
 * 121 modules of PyTorch, from activations to rotary attention, weight normalization and Dropout2d, between layers with weights: three
 * steps of each as both exporters write it (four have no TorchScript export), beside PyTorch in float64 (modules/make.py).
 */
const folder = fileURLToPath(new URL('modules/', import.meta.url))
const files = readdirSync(folder).filter((file) => file.endsWith('.onnx'))

it('there are 121, all but four by two exporters', () => {
  expect(files.length).toBe(2 * 121 - 4)
})

it.each(files)('%s trains as PyTorch does', (file) => expectTrained(folder, file))
