import { elementCount } from '@imago/tensor'
import { tensorOf } from '../constant-tensor.js'
import type { ConstantTensor, Graph } from '../ir.js'

/**
 * Groups of initializers that hold the same weights: same type, dims and bytes, as exporters write a matrix that several layers
 * share. Vectors and matrices whose elements are all equal (biases of 0) are no sign of sharing. A weight that several nodes read
 * under one name, or through Identity, is one initializer and needs no group.
 */
export function tiedParameters(graph: Graph): string[][] {
  const candidates = new Map<string, [string, Uint8Array][]>()
  for (const [name, constant] of graph.initializers) {
    const bytes = distinctive(constant)
    if (bytes === undefined) continue
    const key = `${constant.type} ${constant.dims.join('x')} ${fingerprint(bytes)}`
    candidates.set(key, [...(candidates.get(key) ?? []), [name, bytes]])
  }
  const groups: string[][] = []
  for (const members of candidates.values()) {
    const open = [...members]
    while (open.length > 1) {
      const [, bytes] = open[0]!
      const same = open.filter(([, other]) => compare(bytes, other))
      if (same.length > 1) groups.push(same.map(([name]) => name))
      for (const member of same) open.splice(open.indexOf(member), 1)
    }
  }
  return groups
}

function distinctive(constant: ConstantTensor): Uint8Array | undefined {
  const { type, dims } = constant
  if ((type !== 'float32' && type !== 'float16' && type !== 'float64') || constant.external || elementCount(dims) < 2)
    return undefined
  const data = tensorOf(constant).data as Float32Array
  return data.every((value) => value === data[0])
    ? undefined
    : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

/** FNV-1a over the bytes. */
function fingerprint(bytes: Uint8Array): number {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash
}

function compare(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
