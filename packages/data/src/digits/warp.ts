import type { Rng } from '@imago/tensor'
import { bell } from './bell.js'

/** Maps points of the unit square to pixels, in place: x0 y0 x1 y1 … */
export type Warp = (points: number[]) => void

export interface WarpSizes {
  /** Deviation of the angle, in radians. */
  readonly turn: number
  /** Deviation of the slant: x moved per y. */
  readonly slant: number
  /** Deviation of the logarithm-like scale of each axis. */
  readonly stretch: number
  /** Deviation of the place, in pixels. */
  readonly shift: number
  /** Deviation of the elastic field's nodes, in pixels. */
  readonly elastic: number
}

/** Nodes of the elastic field along an axis. */
const NODES = 4

/**
 * Draw an affine map with an elastic field on top: displacements at the nodes of a coarse grid, smooth in between (after Simard,
 * Steinkraus & Platt 2003, whose field is white noise made smooth). Arithmetic and square roots only, so that every machine
 * computes the same bits.
 */
export function drawWarp(random: Rng, sizes: WarpSizes): Warp {
  const angle = sizes.turn * bell(random)
  const sine = angle - angle ** 3 / 6
  const cosine = 1 - angle ** 2 / 2 + angle ** 4 / 24
  const slant = sizes.slant * bell(random)
  const size = 20 * (1 + 0.5 * sizes.stretch * bell(random))
  const wide = size * (1 + sizes.stretch * bell(random))
  const centerX = 14 + sizes.shift * bell(random)
  const centerY = 14 + sizes.shift * bell(random)
  const field = Float64Array.from({ length: NODES * NODES * 2 }, () => sizes.elastic * bell(random))

  return (points) => {
    for (let i = 0; i < points.length; i += 2) {
      const u = points[i]! - 0.5
      const v = points[i + 1]! - 0.5
      const x = (u - slant * v) * wide
      const y = v * size
      points[i] = centerX + cosine * x - sine * y + displacement(field, points[i]!, points[i + 1]!, 0)
      const back = v + 0.5
      points[i + 1] = centerY + sine * x + cosine * y + displacement(field, u + 0.5, back, 1)
    }
  }
}

/** The field at (u, v) of the unit square: bilinear between nodes with eased steps, so that its slope has no jumps. */
function displacement(field: Float64Array, u: number, v: number, axis: number): number {
  const [column, s] = place(u)
  const [row, t] = place(v)
  const node = (r: number, c: number): number => field[(r * NODES + c) * 2 + axis]!
  const upper = node(row, column) + s * (node(row, column + 1) - node(row, column))
  const lower = node(row + 1, column) + s * (node(row + 1, column + 1) - node(row + 1, column))
  return upper + t * (lower - upper)
}

function place(u: number): [cell: number, part: number] {
  const scaled = Math.min(Math.max(u, 0), 1) * (NODES - 1)
  const cell = Math.min(Math.floor(scaled), NODES - 2)
  const part = scaled - cell
  return [cell, part * part * (3 - 2 * part)]
}
