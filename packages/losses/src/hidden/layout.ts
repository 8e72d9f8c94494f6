import { elementCount, ShapeError } from '@imago/tensor'
import type { HiddenTensor } from './loss-graph.js'
import type { Scene } from './scene.js'

/** The channels of one row: C of [C], [T, C] and [C, H, W]. */
export function channels({ dims }: HiddenTensor): number {
  return Number(dims[dims.length === 2 ? 1 : 0])
}

/** Every position as a row of its channels: [N, C], [N·T, C] or [N·H·W, C]. */
export function positions(scene: Scene, x: string, tensor: HiddenTensor): string {
  const { dims } = tensor
  const moved = dims.length === 3 ? scene.transpose(x, [0, 2, 3, 1]) : x
  return dims.length === 1 ? x : scene.reshape(moved, [-1, channels(tensor)])
}

/** Everything of a row as one vector: [N, D]. */
export function vectors(scene: Scene, x: string, { dims }: HiddenTensor): string {
  return dims.length === 1 ? x : scene.reshape(x, [-1, elementCount(dims as number[])])
}

/**
 * Two maps over the smaller of their heights and widths each, the larger one averaged as adaptive average pooling does: cell i of h
 * is the mean of rows ⌊i·H/h⌋ … ⌈(i + 1)·H/h⌉ − 1. Tensors of other ranks stay.
 */
export function sameSize(
  scene: Scene,
  [x, a]: readonly [string, HiddenTensor],
  [y, c]: readonly [string, HiddenTensor],
): readonly [[string, HiddenTensor], [string, HiddenTensor]] {
  if (a.dims.length !== 3 || c.dims.length !== 3)
    return [
      [x, a],
      [y, c],
    ]
  const size = [1, 2].map((axis) => Math.min(Number(a.dims[axis]), Number(c.dims[axis])))
  return [pooled(scene, x, a, size), pooled(scene, y, c, size)]
}

function pooled(scene: Scene, x: string, tensor: HiddenTensor, size: readonly number[]): [string, HiddenTensor] {
  const { op } = scene
  const [c, height, width] = tensor.dims as readonly number[]
  const [h, w] = size as [number, number]
  let value = x
  if (h !== height) value = op('MatMul', scene.matrix(h, height!, averaging(h, height!)), value)
  if (w !== width) {
    const across = averaging(w, width!)
    value = op(
      'MatMul',
      value,
      scene.matrix(width!, w, (column, cell) => across(cell, column)),
    )
  }
  return [value, { ...tensor, dims: [c!, h, w] }]
}

function averaging(cells: number, from: number): (cell: number, at: number) => number {
  return (cell, at) => {
    const first = Math.floor((cell * from) / cells)
    const end = Math.ceil(((cell + 1) * from) / cells)
    return at >= first && at < end ? 1 / (end - first) : 0
  }
}

/** @throws ShapeError where the rows of student and teacher cannot be laid beside each other */
export function checkAlike(caller: string, student: HiddenTensor, teacher: HiddenTensor): void {
  if (student.dims.length !== teacher.dims.length)
    throw new ShapeError(
      caller,
      'teacher',
      `rows of as many axes as the student's [${student.dims.join(', ')}]`,
      `[${teacher.dims.join(', ')}]`,
    )
}
