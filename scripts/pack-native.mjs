// Makes the npm package of this platform's prebuilt addon, e.g. @imago/native-linux-x64-gnu, and prints the path of its .tgz.
// With --release it builds anew, with CUDA kernels for every architecture that nvcc knows; that takes minutes.
// It is generated under native/build/pack and is no workspace: npm would refuse it on every other platform.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const root = path.dirname(import.meta.dirname)
const addon = path.join(root, 'native', 'build', 'Release', 'imago_native.node')
const packs = path.join(root, 'native', 'build', 'pack')

const cuda = path.join(path.dirname(addon), 'imago_cuda.so')
// Code for each generation since Turing, and PTX for those to come.
const architectures = '75-real;80-real;86-real;89-real;90-real;100-real;120'
const isRelease = process.argv.includes('--release')

if (isRelease || !existsSync(addon))
  run(process.execPath, [path.join(root, 'native', 'build.mjs')], {
    IMAGO_NATIVE: 'required',
    ...(isRelease && { IMAGO_CUDA_ARCHS: architectures }),
  })
const files = [addon, cuda].filter((file) => existsSync(file))

const native = JSON.parse(readFileSync(path.join(root, 'native', 'package.json'), 'utf8'))
const libc = cLibrary()
const platform = [process.platform, process.arch, ...(libc === null ? [] : [libc])].join('-')
const name = `${native.name}-${platform}`
const folder = path.join(packs, `native-${platform}`)

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const manifest = {
  name,
  version: native.version,
  description: `The kernels of imago, built for ${platform}.`,
  license: native.license,
  engines: native.engines,
  os: [process.platform],
  cpu: [process.arch],
  // npm says glibc for what the package's name calls gnu.
  ...(libc === null ? {} : { libc: [libc === 'gnu' ? 'glibc' : libc] }),
  main: 'imago_native.node',
  files: files.map((file) => path.basename(file)),
}
writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
writeFileSync(
  path.join(folder, 'README.md'),
  `# ${name}\n\nThe native kernels of imago (one Node-API addon), built for ${platform}. It needs no compiler and runs nothing at\n` +
    `install. Use it through \`@imago/kernels\`, which finds it by itself: \`backends()\` then says that \`cpu\` is available.\n`,
)
copyFileSync(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'))
for (const file of files) copyFileSync(file, path.join(folder, path.basename(file)))

const packed = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', packs, folder]))
console.log(path.join(packs, packed[0].filename))

/** Runs a program and returns its output; ends with the program's own words where it fails. */
function run(program, args, env = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    shell: process.platform === 'win32' && program === 'npm',
  })
  if (status === 0) return stdout
  console.error(`${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}\npack:native: ${program} ${args[0]} failed`)
  process.exit(1)
}

/** gnu or musl on Linux, null elsewhere. */
function cLibrary() {
  if (process.platform !== 'linux') return null
  process.report.excludeNetwork = true
  return process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'
}
