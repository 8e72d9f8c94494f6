const extremes = [0x00, 0x01, 0x7f, 0x80, 0xff]
/** −1 as int64, the largest int64, and a length of 2³¹ − 1, as protobuf writes numbers. */
const numbers = [
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff, 0x07],
]

/** One to four accidents to the bytes of a file; `other` is another file to take pieces from. */
export function mutateBytes(bytes, other, random) {
  let made = Uint8Array.from(bytes)
  for (let left = 1 + random.integer(4); left > 0; left--)
    made = accidents[random.integer(accidents.length)](made, other, random)
  return made
}

const accidents = [
  (bytes, _other, random) => at(bytes, random, (i) => bytes[i] ^ (1 << random.integer(8))),
  (bytes, _other, random) => at(bytes, random, () => random.integer(256)),
  (bytes, _other, random) => at(bytes, random, () => extremes[random.integer(extremes.length)]),
  (bytes, _other, random) => bytes.slice(0, place(bytes, random)),
  (bytes, _other, random) => {
    const [from, to] = stretch(bytes, random)
    return join(bytes.subarray(0, from), bytes.subarray(to))
  },
  (bytes, _other, random) => {
    const [from, to] = stretch(bytes, random)
    const again = Array.from({ length: 1 + random.integer(40) }, () => bytes.subarray(from, to))
    return join(bytes.subarray(0, to), ...again, bytes.subarray(to))
  },
  (bytes, other, random) => {
    const [from, to] = stretch(other, random)
    const i = place(bytes, random)
    return join(bytes.subarray(0, i), other.subarray(from, to), bytes.subarray(i))
  },
  (bytes, other, random) => {
    const [from, to] = stretch(other, random)
    const i = place(bytes, random)
    return join(bytes.subarray(0, i), other.subarray(from, to), bytes.subarray(i + to - from))
  },
  (bytes, _other, random) => {
    const number = numbers[random.integer(numbers.length)]
    const i = place(bytes, random)
    return join(bytes.subarray(0, i), Uint8Array.from(number), bytes.subarray(i + random.integer(2)))
  },
]

function at(bytes, random, value) {
  if (bytes.length === 0) return bytes
  const i = random.integer(bytes.length)
  bytes[i] = value(i)
  return bytes
}

function place(bytes, random) {
  return random.integer(bytes.length + 1)
}

/** Mostly short: a field, not half of the file. */
function stretch(bytes, random) {
  const from = place(bytes, random)
  return [from, Math.min(bytes.length, from + 1 + random.integer(random.integer(4) === 0 ? 4096 : 48))]
}

function join(...parts) {
  const made = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let i = 0
  for (const part of parts) {
    made.set(part, i)
    i += part.length
  }
  return made
}
