import { crc32 } from 'node:zlib'

/** An .npz of arrays `[numpy dtype, dims, typed array]` by name, uncompressed, as NumPy's savez writes it. */
export function npz(arrays) {
  const entries = Object.entries(arrays).map(([name, array]) => entry(`${name}.npy`, npy(array)))
  let offset = 0
  const directory = entries.map(({ central, local, data }) => {
    central.writeUInt32LE(offset, 42)
    offset += local.length + data.length
    return central
  })
  const size = directory.reduce((sum, { length }) => sum + length, 0)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...entries.flatMap(({ local, data }) => [local, data]), ...directory, end])
}

function npy([dtype, dims, data]) {
  const shape = `(${dims.join(', ')}${dims.length === 1 ? ',' : ''})`
  const text = `{'descr': '${dtype}', 'fortran_order': False, 'shape': ${shape}, }`
  const header = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`
  const size = Buffer.alloc(2)
  size.writeUInt16LE(header.length)
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), size, Buffer.from(header), bytes])
}

function entry(name, data) {
  const label = Buffer.from(name)
  const fields = (buffer, at) => {
    buffer.writeUInt16LE(20, at)
    buffer.writeUInt32LE(crc32(data), at + 10)
    buffer.writeUInt32LE(data.length, at + 14)
    buffer.writeUInt32LE(data.length, at + 18)
    buffer.writeUInt16LE(label.length, at + 22)
  }
  const local = Buffer.alloc(30)
  local.writeUInt32LE(0x04034b50, 0)
  fields(local, 4)
  const central = Buffer.alloc(46)
  central.writeUInt32LE(0x02014b50, 0)
  central.writeUInt16LE(20, 4)
  fields(central, 6)
  return { local: Buffer.concat([local, label]), central: Buffer.concat([central, label]), data }
}
