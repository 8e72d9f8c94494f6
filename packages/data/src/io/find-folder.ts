import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { NotFoundError } from '@imago/tensor'

/** The folder that holds `file`: `dataDir` itself, its `name` or its `data/name`. @throws NotFoundError saying where it was looked for */
export async function findFolder(
  dataDir: string | undefined,
  { name, file, what }: { readonly name: string; readonly file: string; readonly what: string },
): Promise<string> {
  const places = dataDir === undefined ? [] : [join(dataDir, name), join(dataDir, 'data', name), dataDir]
  for (const place of places) {
    const found = await stat(join(place, file)).catch(() => undefined)
    if (found?.isFile()) return place
  }
  throw new NotFoundError(
    dataDir === undefined
      ? `${name} (${what}) was asked for without a folder`
      : `There are no files of ${name} (${what}) in ${dataDir}`,
    `Name a folder that holds ${name}/${file} and the files beside it`,
  )
}
