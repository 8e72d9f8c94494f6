import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'

const objects = path.join(import.meta.dirname, '..', 'build', 'CMakeFiles')
const isas = ['portable', 'avx2', 'avx512'].filter((isa) => existsSync(path.join(objects, `imago_cpu_${isa}.dir`)))
const hasNm = spawnSync('nm', ['--version']).status === 0
if (isas.length === 0 || !hasNm) console.log('skipped: no object files of the kernels, or no nm')

/**
 * A kernel file is compiled once per instruction set. Whatever it defines outside its own namespace (a std:: template, an inline
 * function of a header) exists once per set under one name, and the linker may keep the AVX-512 copy for everybody.
 */
describe.skipIf(isas.length === 0 || !hasNm)('object files define names in their own namespace only', () => {
  test.each(isas)('%s', (isa) => {
    const folder = path.join(objects, `imago_cpu_${isa}.dir`, 'src', 'cpu')
    const files = readdirSync(folder).filter((file) => file.endsWith('.o'))
    expect(files.length).toBeGreaterThan(5)
    const { stdout } = spawnSync('nm', ['-C', '--defined-only', '--extern-only', ...files], {
      cwd: folder,
      encoding: 'utf8',
    })
    const names = stdout.split('\n').flatMap((line) => /^[0-9a-f]+ \w (.+)$/.exec(line)?.[1] ?? [])
    expect(names.length).toBeGreaterThan(5)
    // DW.ref.* is the compiler's own reference to its exception handler: data, the same from every set.
    const foreign = names.filter((name) => !name.includes(`imago::${isa}::`) && !name.startsWith('DW.ref.'))
    expect(foreign).toEqual([])
  })
})
