import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { addonPath, loadAddon } from './addon.js'

const loaded = loadAddon()

describe.skipIf(loaded === null)('the addon', () => {
  const addon = loaded!
  const f32 = (n: number): Float32Array => new Float32Array(n)
  const result = new Float64Array(1)
  const refused: [string, unknown[], RegExp][] = [
    ['another name', ['relu', [], []], /no kernel named 'relu'/],
    ['a name that is none', [7, [], []], /first argument is the name/],
    ['too few arguments', ['squared_norm', []], /three arguments/],
    ['too few buffers', ['squared_norm', [f32(2)], [2]], /squared_norm: takes 2 buffers, got 1/],
    ['too many scalars', ['squared_norm', [f32(2), result], [2, 3]], /takes 1 scalars, got 2/],
    ['no array', ['squared_norm', f32(2), [2]], /buffers must be an array/],
    ['a buffer that is missing', ['squared_norm', [null, result], [2]], /x is missing/],
    ['an object', ['squared_norm', [{}, result], [2]], /x must be a typed array or null/],
    ['a data view', ['squared_norm', [new DataView(new ArrayBuffer(8)), result], [2]], /x must be a typed array/],
    [
      'another kind',
      ['squared_norm', [new Float64Array(2), result], [2]],
      /x must be a Float32Array, got a Float64Array/,
    ],
    ['a kind of no kernel', ['squared_norm', [new Int8Array(2), result], [2]], /x is a typed array of a kind that no/],
    ['another length', ['squared_norm', [f32(3), result], [2]], /x must have n = 2 elements, got 3/],
    ['an overflowing length', ['softmax', [f32(1), f32(1)], [2 ** 40, 2 ** 40, 1, 0]], /logits must have fewer/],
    ['a negative size', ['squared_norm', [f32(2), result], [-1]], /n must be a whole number/],
    ['a fraction', ['squared_norm', [f32(2), result], [1.5]], /n must be a whole number/],
    ['NaN', ['squared_norm', [f32(2), result], [Number.NaN]], /n must be a whole number/],
    ['a string', ['squared_norm', [f32(2), result], ['2']], /n must be a number/],
    ['an object with valueOf', ['squared_norm', [f32(2), result], [{ valueOf: () => 2 }]], /n must be a number/],
    ['shared memory', ['squared_norm', [new Float32Array(new SharedArrayBuffer(8)), result], [2]], /SharedArrayBuffer/],
    ['T = 0', ['softmax', [f32(2), f32(2)], [1, 2, 0, 0]], /temperature must be in/],
    [
      'NaN in a row',
      ['softmax', [Float32Array.of(0, 0, 0, Number.NaN), f32(4)], [2, 2, 1, 0]],
      /^logits: NaN in row 1$/,
    ],
    ['an instruction set', ['setIsa', 'sse9'], /'sse9' is not available here; choose one of portable/],
  ]

  test('exports the binding and nothing else', () => {
    expect(Object.keys(addon).sort()).toEqual([
      'abiVersion',
      'call',
      'cuda',
      'functions',
      'info',
      'kernels',
      'loadLibrary',
      'setIsa',
    ])
    expect(addon.abiVersion).toBe(2)
    expect(addon.info().available).toContain('portable')
    expect(addon.info().available).toContain(addon.info().isa)
    expect(addon.info().threads).toBeGreaterThanOrEqual(1)
  })

  test('computes', () => {
    addon.call('squared_norm', [Float32Array.of(3, 4), result], [2])
    expect(result[0]).toBe(25)
  })

  test.each(refused)('refuses %s', (_, args, message) => {
    const call =
      args[0] === 'setIsa' ? () => addon.setIsa(args[1] as string) : () => addon.call(...(args as [string, [], []]))
    expect(call).toThrow(message)
  })

  test('has each kernel as a function', () => {
    expect(Object.keys(addon.functions)).toEqual(addon.kernels())
    addon.functions.squared_norm!(Float64Array.of(2), Float32Array.of(3, 4), result)
    expect(result[0]).toBe(25)
  })

  const sameArguments = refused.filter(
    ([, [name, buffers, scalars]]) =>
      addon.kernels().includes(name as string) &&
      Array.isArray(buffers) &&
      Array.isArray(scalars) &&
      scalars.every((scalar) => typeof scalar === 'number'),
  )
  test.each(sameArguments)('a function refuses %s', (_, [name, buffers, scalars], message) => {
    const run = addon.functions[name as string] as (...given: unknown[]) => void
    expect(() => run(Float64Array.from(scalars as number[]), ...(buffers as unknown[]))).toThrow(message)
  })

  test.each<[string, unknown[], RegExp]>([
    ['nothing', [], /takes 2 buffers, got 0/],
    ['too many buffers', [Float64Array.of(2), f32(2), result, null], /takes 2 buffers, got 3/],
    [
      'more than any kernel takes',
      [Float64Array.of(2), ...Array.from({ length: 40 }, () => null)],
      /takes 2 buffers, got/,
    ],
    ['scalars in an array', [[2], f32(2), result], /scalars must be a Float64Array/],
    ['scalars in float32', [Float32Array.of(2), f32(2), result], /scalars must be a Float64Array/],
    ['no scalars', [undefined, f32(2), result], /scalars must be a Float64Array/],
  ])('a function refuses %s', (_, args, message) => {
    expect(() => (addon.functions.squared_norm as (...given: unknown[]) => void)(...args)).toThrow(message)
  })

  test('refuses a detached buffer, also one that a getter detaches in the call', () => {
    const gone = f32(2)
    structuredClone(gone.buffer, { transfer: [gone.buffer] })
    expect(() => addon.call('squared_norm', [gone, result], [2])).toThrow(/x is detached/)

    const victim = f32(2)
    const buffers = [victim, result]
    Object.defineProperty(buffers, 1, {
      get() {
        structuredClone(victim.buffer, { transfer: [victim.buffer] })
        return result
      },
    })
    expect(() => addon.call('squared_norm', buffers, [2])).toThrow(/x is detached/)
  })

  test('passes on what a getter throws', () => {
    const scalars = [0]
    Object.defineProperty(scalars, 0, {
      get() {
        throw new RangeError('from the getter')
      },
    })
    expect(() => addon.call('squared_norm', [f32(0), result], scalars)).toThrow(new RangeError('from the getter'))
  })

  test('leaves subnormal numbers to JavaScript', () => {
    addon.call('softmax', [Float32Array.of(1, 2), f32(2)], [1, 2, 1, 0])
    expect(Number.MIN_VALUE * Number(process.pid > 0)).toBe(5e-324)
  })

  test.each([
    ['IMAGO_CPU_ISA', 'mmx', /IMAGO_CPU_ISA: 'mmx' is not available here/],
    ['IMAGO_NUM_THREADS', '0', /IMAGO_NUM_THREADS must be a whole number in \[1, 256\], got '0'/],
    ['IMAGO_NUM_THREADS', '2x', /got '2x'/],
  ])('%s=%s is an error at loading', (name, value, message) => {
    const run = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(addonPath)})`], {
      encoding: 'utf8',
      env: { ...process.env, [name]: value },
    })
    expect(run.status).not.toBe(0)
    expect(run.stderr).toMatch(message)
  })

  test('IMAGO_CPU_ISA and IMAGO_NUM_THREADS decide', () => {
    const script = `console.log(JSON.stringify(require(${JSON.stringify(addonPath)}).info()))`
    const env = { ...process.env, IMAGO_CPU_ISA: 'portable', IMAGO_NUM_THREADS: '3' }
    const info = JSON.parse(spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', env }).stdout)
    expect(info).toMatchObject({ isa: 'portable', threads: 3 })
  })
})
