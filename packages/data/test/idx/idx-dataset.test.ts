import { FormatError } from '@imago/tensor'
import { expect, test } from 'vitest'
import { idxDataset } from '../../src/index.js'
import { encodeIdx } from './encode-idx.js'

const images = encodeIdx(8, [3, 2, 2], [0, 51, 102, 153, 204, 255, 0, 0, 255, 255, 255, 255])
const labels = encodeIdx(8, [3], [2, 0, 1])

test('images become float32 rows in [0, 1]', async () => {
  const set = await idxDataset(images, labels)
  const { inputs, labels: got } = set.rows(Uint32Array.of(1, 0))
  expect(inputs.input!.dims).toEqual([2, 4])
  expect(inputs.input!.data).toEqual(Float32Array.of(0.8, 1, 0, 0, 0, 0.2, 0.4, 0.6))
  expect(got).toEqual(Int32Array.of(0, 2))
  expect(set.classes).toBe(3)
})

test('rows take the shape, the name and the scale that are asked for', async () => {
  const set = await idxDataset(images, labels, { shape: [1, 2, 2], input: 'pixels', scale: 1, classes: 10 })
  const { inputs } = set.rows(Uint32Array.of(0))
  expect(inputs.pixels!.dims).toEqual([1, 1, 2, 2])
  expect(inputs.pixels!.data).toEqual(Float32Array.of(0, 51, 102, 153))
  expect(set.classes).toBe(10)
})

test('images alone are a transfer set', async () => {
  const set = await idxDataset(images)
  expect(set.rows(Uint32Array.of(0)).labels).toBeUndefined()
})

test('counts that differ and labels that are no class name their place', async () => {
  await expect(idxDataset(images, encodeIdx(8, [2], [0, 1]))).rejects.toThrow(/byte 4: has labels \[2\] for 3 images/)
  await expect(idxDataset(images, encodeIdx(8, [3], [0, 11, 1]), { classes: 10 })).rejects.toThrow(
    /byte 9: label 11 of row 1 is not a class in \[0, 10\)/,
  )
  await expect(idxDataset(images, encodeIdx(13, [3], [0, 0.5, 1]))).rejects.toThrow(FormatError)
})
