// `npm run test:sanitize`: the native code built with sanitizers, and its tests run in a Node that has their library preloaded.
//
//   npm run test:sanitize                     AddressSanitizer with UBSan, then ThreadSanitizer
//   npm run test:sanitize -- thread           one of them: address, thread
//   npm run test:sanitize -- address native/test/threads.test.ts     and these tests only
//
// The addon goes to build/sanitize/<kind>; native/build is left alone. Exit 1 where a test fails or a report was
// written; 0 with "skipped: <reason>" where there is no GCC with these libraries.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, isAbsolute, join } from 'node:path'
import { root } from './lib/setup.mjs'

const kinds = {
  address: {
    sanitize: 'address,undefined',
    planted: { outside: /AddressSanitizer: heap-buffer-overflow/, overflow: /signed integer overflow/ },
    library: 'libasan.so',
    // Node keeps what it allocated until the process ends, which is no leak of ours. Frames on the heap, which would find a use after
    // return, are not aligned for AVX-512 by GCC before 14 (its bug 110027).
    options: {
      ASAN_OPTIONS: 'detect_leaks=0:detect_stack_use_after_return=0',
      UBSAN_OPTIONS: 'print_stacktrace=1',
    },
    tests: [
      'native/test/addon.test.ts',
      'native/test/hostile.test.ts',
      'native/test/processes.test.ts',
      'native/test/threads.test.ts',
      'packages/kernels/test/parity.test.ts',
      'packages/kernels/test/faces',
      'packages/kernels/test/libraries',
    ],
  },
  thread: {
    sanitize: 'thread',
    planted: { race: /ThreadSanitizer: data race/ },
    library: 'libtsan.so',
    // Node is not instrumented: what it does inside malloc, memcpy and locks is its own affair.
    options: { TSAN_OPTIONS: 'ignore_noninstrumented_modules=1:second_deadlock_stack=1' },
    tests: [
      'native/test/hostile.test.ts',
      'native/test/processes.test.ts',
      'native/test/threads.test.ts',
      'packages/kernels/test/faces',
      'packages/kernels/test/libraries',
    ],
  },
}

const [first, ...rest] = process.argv.slice(2)
if (first !== undefined && !(first in kinds)) {
  console.error(`test:sanitize: "${first}" must be one of ${Object.keys(kinds).join(', ')}`)
  process.exit(1)
}
if (process.platform !== 'linux') skip('the sanitizers are preloaded as on Linux')
if (!existsSync(join(root, 'node_modules', 'vitest'))) {
  console.error('test:sanitize: install the packages first: npm ci')
  process.exit(1)
}
const reports = join(root, 'build', 'sanitize', 'reports')
const failed = (first === undefined ? Object.keys(kinds) : [first]).filter((kind) => !passes(kind, rest))
console.log(failed.length === 0 ? 'test:sanitize: clean' : `test:sanitize: FAILED: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1

function passes(kind, tests) {
  const { sanitize, library, options } = kinds[kind]
  const preload = libraryPath(library)
  if (preload === null) skip(`the compiler has no ${library}`)
  const addon = build(kind, sanitize)
  rmSync(reports, { recursive: true, force: true })
  mkdirSync(reports, { recursive: true })
  const log = `:log_path=${join(reports, kind)}`
  const env = {
    ...process.env,
    ...Object.fromEntries(Object.entries(options).map(([name, value]) => [name, value + log])),
    LD_PRELOAD: preload,
    IMAGO_NATIVE_PATH: addon,
    IMAGO_SANITIZE: sanitize,
    IMAGO_NUM_THREADS: '4',
  }
  if (!findsPlanted(kind, env)) return false
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const slow = ['--testTimeout=600000', '--hookTimeout=600000', '--maxWorkers=1']
  const args = [vitest, 'run', '--project', 'unit', ...slow, ...(tests.length === 0 ? kinds[kind].tests : tests)]
  console.log(`test:sanitize: ${kind}: ${addon}, tests ${args.slice(7).join(' ')}`)
  const run = spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' })
  const written = readdirSync(reports)
  for (const name of written) console.log(readFileSync(join(reports, name), 'utf8'))
  console.log(`test:sanitize: ${kind}: tests ${run.status === 0 ? 'passed' : 'failed'}, ${written.length} reports`)
  return run.status === 0 && written.length === 0
}

/** Faults put in on purpose must be reported, or what is not reported means nothing. */
function findsPlanted(kind, env) {
  const library = join(reports, 'planted.so')
  const source = join(root, 'native', 'test', 'planted.c')
  const flags = ['-shared', '-fPIC', '-g1', '-fno-sanitize-recover=all', `-fsanitize=${kinds[kind].sanitize}`]
  const include = `-I${join(root, 'native', 'include')}`
  const built = spawnSync(process.env.CC ?? 'cc', [...flags, include, '-o', library, source], { encoding: 'utf8' })
  if (built.status !== 0) {
    console.error(`test:sanitize: planted.c could not be built: ${built.stderr}`)
    return false
  }
  const script = `
    const { kernels } = require(process.argv[1]).loadLibrary(process.argv[2])
    kernels.find(({ name }) => name === process.argv[3]).call([new Float64Array(1)], [])`
  const missed = Object.entries(kinds[kind].planted).filter(([name, report]) => {
    const args = ['-e', script, env.IMAGO_NATIVE_PATH, library, name]
    const run = spawnSync(process.execPath, args, { env, encoding: 'utf8' })
    const written = readdirSync(reports).filter((file) => file.startsWith(kind))
    const text = [run.stderr, ...written.map((file) => readFileSync(join(reports, file), 'utf8'))].join('\n')
    for (const file of written) rmSync(join(reports, file))
    return run.status === 0 || !report.test(text)
  })
  rmSync(library)
  for (const [name] of missed) console.error(`test:sanitize: ${kind}: the planted fault "${name}" was not reported`)
  return missed.length === 0
}

/** The addon built with this sanitizer. */
function build(kind, sanitize) {
  const folder = join(root, 'build', 'sanitize', kind)
  const native = join(root, 'native')
  const require = createRequire(join(native, 'package.json'))
  const cmakeJs = join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js')
  console.log(`test:sanitize: building with -fsanitize=${sanitize} …`)
  const settings = [`--CDIMAGO_SANITIZE=${sanitize}`, '--CDIMAGO_CUDA=off']
  const run = spawnSync(
    process.execPath,
    [cmakeJs, 'compile', '--directory', native, '--out', folder, '--parallel', '2', ...settings],
    { cwd: native, encoding: 'utf8', maxBuffer: 1 << 28 },
  )
  const addon = join(folder, 'Release', 'imago_native.node')
  if (run.status === 0 && existsSync(addon)) return addon
  console.error(`${run.stdout ?? ''}${run.stderr ?? ''}`)
  console.error(`test:sanitize: the addon could not be built with -fsanitize=${sanitize}; the log stands above`)
  process.exit(1)
}

/** The sanitizer's shared library of the compiler that builds the addon, where it works; else null. */
function libraryPath(name) {
  const compiler = process.env.CXX ?? 'c++'
  const { stdout, status } = spawnSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' })
  const path = stdout?.trim() ?? ''
  if (status !== 0 || !isAbsolute(path) || !existsSync(path)) return null
  const probe = spawnSync(process.execPath, ['-e', ''], { env: { ...process.env, LD_PRELOAD: path } })
  if (probe.status !== 0) skip(`Node does not start with ${path} preloaded: ${probe.stderr}`)
  return path
}

function skip(reason) {
  console.log(`test:sanitize: skipped: ${reason}`)
  process.exit(0)
}
