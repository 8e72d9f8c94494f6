import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Builder, builder, type Graph, type Model, mlp, writeModel } from '@imago/onnx'
import { type IsolateOptions, IsolationError, open, predictor, type Session } from '@imago/runtime'
import { rng, type Tensor, tensor, UnsupportedError } from '@imago/tensor'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { folder, imago, startImago, writeDigits } from '../cli/imago.js'

function around(graph: Graph): Model {
  return { irVersion: 8, opsets: new Map([['', 17]]), producer: '', graph, metadata: new Map(), functions: [] }
}

const int64 = (...values: bigint[]): Tensor => tensor('int64', [values.length], BigInt64Array.from(values))
const scalar = (value: bigint): Tensor => tensor('int64', [], BigInt64Array.of(value))

/** A classifier of 10 classes that adds to its scores what `write` makes of them. */
function teacher(write: (b: Builder, scores: string) => string): Model {
  const start = mlp([784, 10], { rng: rng(1) })
  const b = builder({ ...start.graph, outputs: [] })
  const scores = start.graph.outputs[0]!.name
  b.output(b.op('Add', [scores, write(b, scores)], {}, { outputs: ['sum'] }), 'float32', ['N', 10])
  return around(b.graph())
}

/** −2⁶³ / −1, which traps on x86: ONNX Runtime checks divisors for 0 alone. */
const crashing = teacher((b, scores) => {
  const zero = b.op('Cast', [b.op('Mul', [scores, b.scalar(0)])], { to: 7 })
  const least = b.op('Add', [zero, b.initializer('least', int64(-(2n ** 63n)))])
  const minusOne = b.op('Add', [zero, b.initializer('minus one', int64(-1n))])
  return b.op('Cast', [b.op('Div', [least, minusOne])], { to: 1 })
})

/** A Loop of 2⁶² rounds. */
const endless = teacher((b, scores) => {
  const body = builder()
  body.input('round', 'int64', [])
  const go = body.input('go', 'bool', [])
  const carried = body.input('carried', 'float32', ['N', 10])
  body.output(body.op('Identity', [go]), 'bool', [])
  body.output(body.op('Neg', [carried]), 'float32', ['N', 10])
  const condition = b.initializer('condition', tensor('bool', [], Uint8Array.of(1)))
  return b.op('Loop', [b.initializer('rounds', scalar(2n ** 62n)), condition, scores], {
    body: { kind: 'graph', value: body.graph() },
  } as never)
})

/** 2³⁰ numbers, 4 GiB, then their sum. */
const vast = teacher((b, scores) => {
  // The size is computed of the inputs, so that nobody folds it.
  const rows = b.op('Slice', [b.op('Shape', [scores]), b.ints([1]), b.ints([2])])
  const size = b.op('Mul', [b.op('Div', [rows, rows]), b.initializer('size', int64(2n ** 30n))])
  return b.op('ReduceSum', [b.op('ConstantOfShape', [size])], { keepdims: 0 })
})

const image = { input: tensor('float32', [1, 784], new Float32Array(784).fill(0.5)) }

const isSession = (value: unknown): value is Session => typeof value === 'object' && value !== null && 'run' in value

async function death(model: Model, isolate: IsolateOptions | true): Promise<unknown> {
  const session = await open(model, { isolate, threads: 1, name: 'the teacher' }).catch((cause: unknown) => cause)
  // A machine that is busy may reach the time limit while it loads.
  if (session instanceof Error) return session
  if (!isSession(session)) throw session
  const error = await session.run(image).catch((cause: unknown) => cause)
  // It stays dead, and says so again.
  await expect(session.run(image)).rejects.toBe(error)
  await session.dispose()
  return error
}

describe('a model in a process of its own', () => {
  it('gives the same bits, of every type that can be fed', async () => {
    const types = ['float32', 'float64', 'int64', 'int32', 'int8', 'uint8', 'bool', 'float16'] as const
    const b = builder()
    for (const type of types)
      b.output(b.op('Identity', [b.input(type, type, ['N', 3])], {}, { outputs: [`${type} out`] }), type)
    const [near, far] = await Promise.all(
      [false, true].map((isolate) => open(around(b.graph()), { isolate, threads: 1 })),
    )
    expect(far!.inputs).toEqual(near!.inputs)
    expect(far!.outputs).toEqual(near!.outputs)
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.nat(), async (rows, seed) => {
        const random = rng(seed)
        const values = Array.from({ length: 3 * rows }, () => random.integer(2))
        const feeds = Object.fromEntries(
          types.map((type) => {
            const floats = type === 'float32' ? Float32Array.from(values, () => random.normal()) : undefined
            const wide = type === 'float64' ? Float64Array.from(values, () => random.normal()) : undefined
            const whole = type === 'int64' ? BigInt64Array.from(values, BigInt) : undefined
            const small = { int32: Int32Array, int8: Int8Array, float16: Uint16Array }[type as string] ?? Uint8Array
            // A stretch of a larger array: only the stretch may cross.
            const data = floats ?? wide ?? whole ?? small.from([9, ...values]).subarray(1)
            return [type, { type, dims: [rows, 3], data } as Tensor]
          }),
        )
        expect(await far!.run(feeds)).toEqual(await near!.run(feeds))
      }),
      { numRuns: 20 },
    )
    await Promise.all([near!.dispose(), far!.dispose(), far!.dispose()])
    await expect(far!.run({})).rejects.toThrow(/disposed/)
  })

  it('a classifier predicts the same there', async () => {
    const model = mlp([784, 16, 10], { rng: rng(4) })
    const [near, far] = await Promise.all([false, true].map((isolate) => predictor(model, { isolate, threads: 1 })))
    const rows = {
      input: tensor(
        'float32',
        [300, 784],
        Float32Array.from({ length: 300 * 784 }, (_, i) => Math.sin(i)),
      ),
    }
    expect(await far!(rows)).toEqual(await near!(rows))
    await Promise.all([near!.dispose(), far!.dispose()])
  })

  it('errors are those of the same model here', async () => {
    const b = builder()
    b.output(b.op('Nonsense', [b.input('x', 'float32', ['N'])]), 'float32', ['N'])
    const [near, far] = await Promise.all(
      [false, true].map((isolate) => open(around(b.graph()), { isolate, threads: 1 }).catch((error: unknown) => error)),
    )
    const told = (error: unknown): unknown[] => [(error as Error).message, (error as Error).constructor]
    expect(near).toBeInstanceOf(UnsupportedError)
    expect(told(far)).toEqual(told(near))
    await expect(open(mlp([4, 2], { rng: rng(1) }), { isolate: { timeLimit: 0 } })).rejects.toThrow(
      /isolate\.timeLimit/,
    )
    const session = await open(mlp([4, 2], { rng: rng(1) }), { isolate: true, threads: 1 })
    await expect(session.run({ input: tensor('float32', [1, 3], new Float32Array(3)) })).rejects.toThrow(/_ 4|\[.*4\]/)
    await session.dispose()
  })

  it.skipIf(process.arch !== 'x64')('that crashes is an error, and this process goes on', async () => {
    const error = await death(crashing, true)
    expect(error).toBeInstanceOf(IsolationError)
    expect(error).toMatchObject({ code: 'ERR_ISOLATED', model: 'the teacher', reason: 'crash' })
    expect((error as Error).message).toMatch(/^the teacher: .*SIGFPE/)
  })

  it('that never comes back is ended after its time', async () => {
    const error = await death(endless, { timeLimit: 3000 })
    expect(error).toMatchObject({ reason: 'time', message: expect.stringMatching(/longer than 3 s/) })
  })

  it('that fills the memory is ended at its limit', async () => {
    const error = await death(vast, { memoryLimit: 600 * 2 ** 20 })
    expect(error).toMatchObject({ reason: 'memory', model: 'the teacher' })
  })
})

/** Processes below this one that run an isolated model, by /proc. */
function below(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split(' ')
    .filter((word) => word.trim() !== '')
    .map(Number)
    .filter(
      (child) => existsSync(`/proc/${child}`) && readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('isolated.js'),
    )
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20))
}

describe.skipIf(process.platform !== 'linux')('no process is left', () => {
  const work = folder()
  beforeAll(async () => {
    writeDigits(join(work, 'digits'))
    await writeModel(join(work, 'endless.onnx'), endless)
  })
  const program = `
    import { open } from '@imago/runtime'
    import { tensor } from '@imago/tensor'
    const session = await open('${join(work, 'endless.onnx')}', { isolate: true, threads: 1 })
    console.log('opened')
    if (process.argv[1] === 'idle') process.exit(0)
    await session.run({ input: tensor('float32', [1, 784], new Float32Array(784)) })
  `
  const start = (mode: string): ReturnType<typeof spawn> =>
    spawn(process.execPath, ['--input-type=module', '-e', program, mode], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    })

  it.each(['idle', 'computing'])('whose parent is killed or exits while it is %s', async (mode) => {
    const parent = start(mode)
    let children: number[] = []
    await new Promise((resolve) => parent.stdout!.once('data', resolve))
    await until(() => parent.exitCode !== null || (children = below(parent.pid!)).length > 0)
    if (mode === 'computing') parent.kill('SIGKILL')
    await until(() => children.every((child) => !existsSync(`/proc/${child}`)))
  })
})

describe('imago --isolate', () => {
  const work = folder()
  const quick = ['--arch', 'mlp:784-8-10', '--data', 'digits', '--threads', '1']
  beforeAll(async () => {
    writeDigits(join(work, 'digits'))
    await writeModel(join(work, 'crashing.onnx'), crashing)
    await writeModel(join(work, 'teacher.onnx'), mlp([784, 16, 10], { rng: rng(1) }))
  })

  it.skipIf(process.arch !== 'x64')(
    'a teacher that crashes: a sentence that names it, exit code 1, nothing written',
    () => {
      for (const args of [
        ['distill', '--teacher', 'crashing.onnx', ...quick, '--epochs', '1', '--out', 'run'],
        ['teach', '--teacher', 'crashing.onnx', '--data', 'digits', '--out', 'store'],
        ['evaluate', 'crashing.onnx', '--data', 'digits'],
      ]) {
        const { status, stderr } = imago([...args, '--isolate'], work)
        expect(status, stderr).toBe(1)
        expect(stderr).toMatch(/crashing\.onnx: its process ended by SIGFPE/)
        expect(stderr).not.toMatch(/ {4}at /)
      }
    },
  )

  it('a distilled student is the same, bit by bit, and Ctrl-C keeps its checkpoint', async () => {
    const args = ['distill', '--teacher', 'teacher.onnx', ...quick, '--epochs', '30', '--json']
    expect(imago([...args, '--quiet', '--out', 'near'], work).status).toBe(0)
    const stopped = await startImago([...args, '--isolate', '--out', 'far'], work, /distill [3-9]\/30|epoch/, 'SIGINT')
    expect(stopped.status, stopped.stderr).toBe(130)
    const resumed = imago([...args, '--isolate', '--quiet', '--out', 'far'], work)
    expect(resumed.status, resumed.stderr).toBe(0)
    expect(readFileSync(join(work, 'far/student.onnx'))).toEqual(readFileSync(join(work, 'near/student.onnx')))
  })
})
