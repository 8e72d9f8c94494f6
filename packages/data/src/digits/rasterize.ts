/** Pixels along a side. */
export const SIDE = 28

/**
 * Ink of chains of points, drawn with a round pen: for each pixel 0 … 1, by the distance of its centre from the nearest
 * segment, with an edge one pixel wide. `distances` is scratch of SIDE² elements.
 */
export function rasterize(
  chains: readonly (readonly number[])[],
  radius: number,
  ink: Float32Array,
  distances: Float32Array,
): void {
  const reach = radius + 0.5
  distances.fill(reach * reach)
  for (const chain of chains)
    for (let i = 0; i + 3 < chain.length; i += 2)
      nearer(chain[i]!, chain[i + 1]!, chain[i + 2]!, chain[i + 3]!, reach, distances)
  for (let p = 0; p < ink.length; p++) ink[p] = Math.min(1, reach - Math.sqrt(distances[p]!))
}

/** Lower the squared distances of the pixels within `reach` of the segment (x0, y0)–(x1, y1). */
function nearer(x0: number, y0: number, x1: number, y1: number, reach: number, distances: Float32Array): void {
  const left = Math.max(0, Math.ceil(Math.min(x0, x1) - reach))
  const right = Math.min(SIDE - 1, Math.floor(Math.max(x0, x1) + reach))
  const top = Math.max(0, Math.ceil(Math.min(y0, y1) - reach))
  const bottom = Math.min(SIDE - 1, Math.floor(Math.max(y0, y1) + reach))
  const dx = x1 - x0
  const dy = y1 - y0
  const squared = dx * dx + dy * dy
  for (let y = top; y <= bottom; y++)
    for (let x = left; x <= right; x++) {
      const along = squared > 0 ? ((x - x0) * dx + (y - y0) * dy) / squared : 0
      const t = along < 0 ? 0 : along > 1 ? 1 : along
      const ex = x - x0 - t * dx
      const ey = y - y0 - t * dy
      const distance = ex * ex + ey * ey
      if (distance < distances[y * SIDE + x]!) distances[y * SIDE + x] = distance
    }
}
