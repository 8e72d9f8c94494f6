import type { Stroke } from './glyphs.js'

/** Pieces of a curve between two of its points. */
const STEPS = 6

/**
 * A stroke as a chain of points x0 y0 x1 y1 …: a smooth one as a uniform Catmull–Rom spline through its points (Catmull &
 * Rom 1974), whose ends are doubled where it is open.
 */
export function flatten(points: readonly number[], stroke: Stroke): number[] {
  if (!stroke.smooth) return [...points]
  const count = points.length / 2
  const closed = stroke.closed === true
  const at = (i: number): number => (closed ? (i + count) % count : Math.min(Math.max(i, 0), count - 1))
  const out: number[] = [points[0]!, points[1]!]
  for (let i = 0; i < (closed ? count : count - 1); i++) {
    const [a, b, c, d] = [at(i - 1) * 2, i * 2, at(i + 1) * 2, at(i + 2) * 2]
    for (let step = 1; step <= STEPS; step++) {
      const t = step / STEPS
      for (let axis = 0; axis < 2; axis++)
        out.push(spline(points[a + axis]!, points[b + axis]!, points[c + axis]!, points[d + axis]!, t))
    }
  }
  return out
}

function spline(a: number, b: number, c: number, d: number, t: number): number {
  return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
}
