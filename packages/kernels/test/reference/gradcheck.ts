import { expect } from 'vitest'

/** The value of a loss at logits z; writes its gradient where there is room for it. */
export type Loss = (z: Float32Array, gradient: Float32Array | null) => number

/** A gradient against central differences; the step is float32's, so that z ± h is exact. */
export function gradcheck(loss: Loss, logits: number[], relative: number = 2e-5): void {
  const z = Float32Array.from(logits)
  const gradient = new Float32Array(z.length)
  loss(z, gradient)
  for (let c = 0; c < z.length; c++) {
    const up = z.slice()
    const down = z.slice()
    up[c]! += 2 ** -10
    down[c]! -= 2 ** -10
    const difference = (loss(up, null) - loss(down, null)) / (up[c]! - down[c]!)
    const scale = Math.max(1, ...gradient.map(Math.abs))
    expect(Math.abs(gradient[c]! - difference)).toBeLessThan(relative * scale)
  }
}
