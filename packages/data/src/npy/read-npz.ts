import { type TensorMap, tensorMap } from '@imago/tensor'
import { type DataSource, withSource } from '../io/open-source.js'
import { readZip } from '../zip/read-zip.js'
import { parseNpy } from './parse-npy.js'

/**
 * Read a .npz archive (NumPy's `savez` and `savez_compressed`): each member by the name that it was saved under. Members that
 * are no .npy files are passed over.
 *
 * @throws FormatError naming file, member and offset, UnsupportedError, NotFoundError
 */
export async function readNpz(source: DataSource): Promise<TensorMap> {
  return withSource(source, async (file) => {
    const zip = await readZip(file)
    const arrays = zip.names.filter((name) => name.endsWith('.npy'))
    return tensorMap(
      arrays.map((name) => [
        name.slice(0, -4),
        parseNpy(zip.member(name), `${file.name}, member ${JSON.stringify(name)}`),
      ]),
    )
  })
}
