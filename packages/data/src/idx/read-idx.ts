import { arrayTypes, FormatError, type Tensor } from '@imago/tensor'
import { gunzip, isGzip } from '../io/gunzip.js'
import { type DataSource, type OpenSource, readAll, withSource } from '../io/open-source.js'
import { toHostOrder } from '../io/swap-bytes.js'
import { type IdxHeader, idxHeader } from './idx-header.js'

/**
 * Read an IDX file (the format of MNIST), plain or gzipped: uint8, int8, int16, int32, float32 or float64, any number of
 * dims. The header is held against the file's length before anything is allocated.
 *
 * @throws FormatError naming file and offset, NotFoundError
 */
export async function readIdx(source: DataSource): Promise<Tensor> {
  return withSource(source, async (file) => {
    const head = await file.read(0, Math.min(file.size, 4 + 4 * 255))
    return isGzip(head) ? packed(file) : plain(file, head)
  })
}

async function plain(file: OpenSource, head: Uint8Array): Promise<Tensor> {
  const header = idxHeader(head, file.name)
  if (header === undefined) throw new FormatError(`${file.name}, byte ${head.byteLength}`, 'ends inside its header')
  if (header.total !== file.size)
    throw new FormatError(
      `${file.name}, byte ${Math.min(header.total, file.size)}`,
      `dims ${header.dims.join(' × ')} of ${header.type} need ${header.total} bytes, the file has ${file.size}`,
    )
  return decode(header, await file.read(header.start, header.total - header.start))
}

async function packed(file: OpenSource): Promise<Tensor> {
  const bytes = await gunzip(await readAll(file), file.name, (head) => idxHeader(head, `${file.name}, unpacked`)?.total)
  const header = idxHeader(bytes, file.name)!
  // A copy where elements are wider than a byte: the header may leave them unaligned.
  return decode(header, header.width === 1 ? bytes.subarray(header.start) : bytes.slice(header.start))
}

function decode({ type, width, dims }: IdxHeader, body: Uint8Array): Tensor {
  toHostOrder(body, width, 'BE')
  const data = new arrayTypes[type](body.buffer, body.byteOffset, body.byteLength / width)
  return { type, dims, data } as Tensor
}
