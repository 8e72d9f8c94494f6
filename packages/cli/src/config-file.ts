import { readFile } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ArgumentError, FormatError, NotFoundError } from '@imago/tensor'
import { repeatedKey } from './repeated-key.js'

/** Options from a file: the same names as on the command line, in camelCase. The command line wins over the file. */
export type ConfigFile = { readonly [option: string]: unknown }

/**
 * Read a config file: JSON, or an ES module whose default export is the object.
 * @param known the options that the command has; another name in the file is refused with its path
 */
export async function readConfigFile(path: string, known: readonly string[]): Promise<ConfigFile> {
  const file = resolve(path)
  const value = extname(file) === '.mjs' ? await importDefault(file) : await parseJson(file)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new FormatError(file, 'a config file holds one object of options')
  for (const name of Object.keys(value)) {
    if (!known.includes(name))
      throw new ArgumentError('imago', `${path}: ${name}`, `one of the options ${known.join(', ')}`, name)
  }
  return value as ConfigFile
}

async function parseJson(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((cause) => {
    throw new NotFoundError(`cannot read the config file ${file}`, 'Check --config', { cause })
  })
  const value = parsed(text, file)
  const twice = repeatedKey(text)
  if (twice !== undefined) throw new FormatError(file, `has the key ${twice} twice`)
  return value
}

function parsed(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FormatError(file, `is not JSON (${(cause as Error).message})`, { cause })
  }
}

async function importDefault(file: string): Promise<unknown> {
  try {
    return ((await import(pathToFileURL(file).href)) as { default?: unknown }).default
  } catch (cause) {
    throw new FormatError(file, `could not be imported (${(cause as Error).message})`, { cause })
  }
}
