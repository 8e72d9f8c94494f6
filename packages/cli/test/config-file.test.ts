import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readConfigFile } from '../src/config-file.js'

async function file(name: string, text: string): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), 'imago-config-')), name)
  await writeFile(path, text)
  return path
}

const known = ['epochs', 'temperature']

describe('readConfigFile', () => {
  it('reads JSON and ES modules', async () => {
    expect(await readConfigFile(await file('a.json', '{"epochs": 3}'), known)).toEqual({ epochs: 3 })
    expect(await readConfigFile(await file('a.mjs', 'export default { temperature: 2 ** 2 }'), known)).toEqual({
      temperature: 4,
    })
  })

  it.each([
    ['{"epoch": 3}', /epoch.*one of the options epochs, temperature/],
    ['{"__proto__": {"polluted": 1}}', /__proto__/],
    ['{"epochs": 3, "epochs": 30}', /the key epochs twice/],
    ['[1]', /one object/],
    ['{', /not JSON/],
  ])('refuses %s', async (text, message) => {
    await expect(readConfigFile(await file('a.json', text), known)).rejects.toThrow(message)
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
  })

  it('says which file is missing', async () => {
    await expect(readConfigFile('/nowhere/imago.json', known)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })
})
