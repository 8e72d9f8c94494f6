/** IDX as its description has it, written with a DataView: the oracle of the reader. */
export const idxTypes = [
  [8, 'uint8', 1, (v: DataView, at: number, x: number) => v.setUint8(at, x)],
  [9, 'int8', 1, (v: DataView, at: number, x: number) => v.setInt8(at, x)],
  [11, 'int16', 2, (v: DataView, at: number, x: number) => v.setInt16(at, x)],
  [12, 'int32', 4, (v: DataView, at: number, x: number) => v.setInt32(at, x)],
  [13, 'float32', 4, (v: DataView, at: number, x: number) => v.setFloat32(at, x)],
  [14, 'float64', 8, (v: DataView, at: number, x: number) => v.setFloat64(at, x)],
] as const

export function encodeIdx(code: number, dims: readonly number[], values: readonly number[]): Uint8Array {
  const [, , width, set] = idxTypes.find(([known]) => known === code)!
  const start = 4 + 4 * dims.length
  const bytes = new Uint8Array(start + values.length * width)
  const view = new DataView(bytes.buffer)
  bytes.set([0, 0, code, dims.length])
  for (const [i, dim] of dims.entries()) view.setUint32(4 + 4 * i, dim)
  for (const [i, value] of values.entries()) set(view, start + i * width, value)
  return bytes
}
