import { decode, encode } from '@imago/onnx'

/** Whether a model, decoded and encoded, has the same bytes again; else what differs. */
export function roundTrip(data, name) {
  try {
    const bytes = data.model()
    const again = encode(decode(bytes, { name }))
    if (Buffer.compare(again, bytes) === 0) return { same: true }
    let at = 0
    while (again[at] === bytes[at]) at++
    return { same: false, why: `${again.length} bytes in place of ${bytes.length}, the first that differs is ${at}` }
  } catch (error) {
    return { same: false, why: String(error) }
  }
}
