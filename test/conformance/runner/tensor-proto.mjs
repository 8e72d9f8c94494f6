// TensorProto and SequenceProto files, read apart from the codec of @imago/onnx: a mistake there must not hide here.

const types = {
  1: ['float32', Float32Array],
  2: ['uint8', Uint8Array],
  3: ['int8', Int8Array],
  4: ['uint16', Uint16Array],
  5: ['int16', Int16Array],
  6: ['int32', Int32Array],
  7: ['int64', BigInt64Array],
  8: ['string', undefined],
  9: ['bool', Uint8Array],
  10: ['float16', Uint16Array],
  11: ['float64', Float64Array],
  12: ['uint32', Uint32Array],
  13: ['uint64', BigUint64Array],
}

/** `{ type, dims, data }`; throws for element types that have no array here. */
export function readTensor(bytes) {
  const dims = []
  let code = 0
  let raw
  const strings = []
  const typed = []
  for (const { field, value } of fields(bytes)) {
    if (field === 1) dims.push(...varints(value).map(Number))
    else if (field === 2) code = Number(value)
    else if (field === 9) raw = value
    else if (field === 6) strings.push(Buffer.from(value).toString('utf8'))
    else if (field === 4) typed.push(...view(value, Float32Array))
    else if (field === 10) typed.push(...view(value, Float64Array))
    else if (field === 5) typed.push(...varints(value).map((item) => Number(BigInt.asIntN(32, item))))
    else if (field === 7) typed.push(...varints(value).map((item) => BigInt.asIntN(64, item)))
    else if (field === 11) typed.push(...varints(value))
  }
  const [type, View] = types[code] ?? []
  if (type === undefined) throw new Error(`elements of ONNX type ${code} are not read`)
  if (type === 'string') return { type, dims, data: strings }
  if (raw !== undefined) return { type, dims, data: view(raw, View) }
  return { type, dims, data: View.from(type === 'uint32' ? typed.map(Number) : typed) }
}

/** The tensors of a SequenceProto. */
export function readSequence(bytes) {
  return [...fields(bytes)].flatMap(({ field, value }) => (field === 3 ? [readTensor(value)] : []))
}

/** The tensor of an OptionalProto, or the tensors of its sequence; undefined where it is empty. */
export function readOptional(bytes) {
  for (const { field, value } of fields(bytes)) {
    if (field === 3) return readTensor(value)
    if (field === 5) return readSequence(value)
  }
  return undefined
}

function view(bytes, View) {
  // A copy: a Buffer's own slice would be a view, at any offset.
  const own = Uint8Array.prototype.slice.call(bytes)
  return new View(own.buffer, own.byteOffset, own.byteLength / View.BYTES_PER_ELEMENT)
}

/** A packed list, or the single value of an unpacked field. */
function varints(value) {
  if (typeof value === 'bigint') return [value]
  const list = []
  for (let at = 0; at < value.length; ) {
    const [item, next] = varint(value, at)
    list.push(item)
    at = next
  }
  return list
}

function* fields(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const [tag, start] = varint(bytes, at)
    const field = Number(tag >> 3n)
    const wire = Number(tag & 7n)
    if (wire === 0) {
      const [value, next] = varint(bytes, start)
      yield { field, value }
      at = next
    } else if (wire === 2) {
      const [length, from] = varint(bytes, start)
      at = from + Number(length)
      yield { field, value: Uint8Array.prototype.subarray.call(bytes, from, at) }
    } else if (wire === 5 || wire === 1) {
      at = start + (wire === 5 ? 4 : 8)
      yield { field, value: Uint8Array.prototype.subarray.call(bytes, start, at) }
    } else throw new Error(`wire type ${wire} at byte ${at}`)
  }
}

function varint(bytes, from) {
  let value = 0n
  for (let at = from, shift = 0n; at < bytes.length; at++, shift += 7n) {
    value |= BigInt(bytes[at] & 127) << shift
    if (bytes[at] < 128) return [value, at + 1]
  }
  throw new Error('the bytes end inside a number')
}
