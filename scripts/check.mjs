// `npm run check`: format, lint, types, architecture, public faces, lock file. Prints a line a step; exit 1 where one fails.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { incompleteLock } from './lib/lock.mjs'
import { root, setup } from './lib/setup.mjs'

setup()

const bin = (path) => join(root, 'node_modules', path)
const published = [...readdirSync(join(root, 'packages')).map((name) => `packages/${name}`)]

const steps = [
  ['format and lint', () => node(bin('@biomejs/biome/bin/biome'), ['ci', '.'])],
  ['types of the packages', () => node(bin('typescript7/bin/tsc'), ['-b'])],
  ['types of the tests', () => node(bin('typescript7/bin/tsc'), ['-p', 'tsconfig.test.json'])],
  [
    'architecture',
    () =>
      node(bin('dependency-cruiser/bin/dependency-cruise.mjs'), ['--config', '.dependency-cruiser.cjs', 'packages']),
  ],
  ...published.map((folder) => [`publint ${folder}`, () => node(bin('publint/src/cli.js'), ['--strict', folder])]),
  ...published.map((folder) => [`attw ${folder}`, () => attw(folder)]),
  ['lock file complete', () => incompleteLock(join(root, 'package-lock.json')).join('\n')],
]

function node(file, args) {
  const result = spawnSync(process.execPath, [file, ...args], { cwd: root, encoding: 'utf8' })
  return result.status === 0 ? '' : `${result.stdout}${result.stderr}`.trim() || `exit code ${result.status}`
}

function attw(folder) {
  return node(bin('@arethetypeswrong/cli/dist/index.js'), ['--pack', folder, '--profile', 'esm-only', '--quiet'])
}

let failed = 0
for (const [name, step] of steps) {
  const problem = step()
  console.log(`${problem === '' ? 'ok  ' : 'FAIL'} ${name}`)
  if (problem !== '') {
    failed++
    console.log(problem)
  }
}
console.log(`check: ${steps.length - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
