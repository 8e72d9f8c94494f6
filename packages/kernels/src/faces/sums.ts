const kept = { 1: new Float64Array(1), 3: new Float64Array(3) }

/**
 * Zeros for a kernel to put its one or three sums into, to be read before the next call. Kept, because Node-API gives every new array,
 * however small, memory of its own, which takes longer than a small loss does.
 */
export function sums(count: 1 | 3): Float64Array {
  const result = kept[count]
  for (let i = 0; i < count; i++) result[i] = 0
  return result
}
