import { FormatError, type Tensor } from '@imago/tensor'
import { type DataSource, withSource } from '../io/open-source.js'
import { npyHeader } from './npy-header.js'
import { checkLength, npyTensor } from './parse-npy.js'

/** Room for the usual header; a longer one is read again. */
const USUAL = 4096

/**
 * Read a .npy file (NumPy's `save`): float16 (as bits) to float64, int8 to int64, uint8 to uint64 and bool, in either byte
 * order; column-major data is turned row-major. Pickled objects are refused.
 *
 * @throws FormatError naming file and offset, UnsupportedError, NotFoundError
 */
export async function readNpy(source: DataSource): Promise<Tensor> {
  return withSource(source, async (file) => {
    const header =
      npyHeader(await file.read(0, Math.min(file.size, USUAL)), file.name) ??
      npyHeader(await file.read(0, Math.min(file.size, 1 << 17)), file.name)
    if (header === undefined) throw new FormatError(`${file.name}, byte ${file.size}`, 'ends inside its header')
    checkLength(header, file.size, file.name)
    return npyTensor(header, await file.read(header.start, header.total - header.start))
  })
}
