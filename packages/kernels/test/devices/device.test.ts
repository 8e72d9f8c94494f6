import { ArgumentError, rng, StateError, tensor, UnsupportedError } from '@imago/tensor'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { type AnyTensor, backends, type DeviceTensor, openDevice, squaredNorm, useBackend } from '../../src/index.js'
import { testDevice } from './emulated.js'

const opened = testDevice()

describe.skipIf(opened === null)(`device tensors: ${opened?.name}`, () => {
  const device = opened!
  afterAll(() => device.dispose())
  const row = (...numbers: number[]) => tensor('float32', [numbers.length], Float32Array.from(numbers))

  test('backends() says what there is, and auto does not take it', () => {
    const cuda = backends().find(({ name }) => name === 'cuda')!
    expect(cuda).toMatchObject({ available: true, chosen: false })
    expect(cuda.devices!.length).toBeGreaterThanOrEqual(1)
    expect(cuda.devices![0]!.name).toBe(device.name)
    expect(cuda.kernels).toContain('squared_norm')
    expect(squaredNorm({ x: row(3, 4) })).toBe(25)
  })

  test('elements of every type come back as they went', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 96 }), fc.boolean(), async (bytes, isPinned) => {
        const whole = bytes.slice(0, bytes.length - (bytes.length % 8))
        for (const [type, Elements] of [
          ['float32', Float32Array],
          ['float64', Float64Array],
          ['bfloat16', Uint16Array],
          ['int64', BigInt64Array],
          ['bool', Uint8Array],
        ] as const) {
          const data = new Elements(whole.slice().buffer)
          const source = isPinned ? device.pinned(type, [data.length]) : tensor(type, [data.length], data as never)
          if (isPinned) (source.data as { set(from: unknown): void }).set(data)
          const there = device.upload(source)
          const back = await there.read(isPinned ? { into: device.pinned(type, [data.length]) as never } : {})
          there.dispose()
          expect(Buffer.from(back.data.buffer, back.data.byteOffset, back.data.byteLength)).toEqual(Buffer.from(whole))
        }
      }),
      { numRuns: 20 },
    )
  })

  test('a read brings what stood there when it was asked for, whatever comes after', async () => {
    using x = device.upload(row(1, 2, 3))
    const before = x.read()
    x.write(row(4, 5, 6))
    const after = x.read()
    expect([...(await before).data]).toEqual([1, 2, 3])
    expect([...(await after).data]).toEqual([4, 5, 6])
  })

  test('what is uploaded has been read when upload returns', async () => {
    const source = row(1, 2)
    using x = device.upload(source)
    source.data.fill(9)
    expect([...(await x.read()).data]).toEqual([1, 2])
  })

  test('a kernel runs where its tensors are, and its numbers stay there', async () => {
    using x = device.upload(row(3, 4))
    using norm = squaredNorm({ x })
    expect(norm.dims).toEqual([])
    expect((await norm.read()).data[0]).toBe(25)
  })

  test('views share memory and outlive the whole', async () => {
    const x = device.upload(row(1, 2, 3, 4))
    using tail = x.view(2, [2])
    tail.write(row(7, 8))
    expect([...(await x.read()).data]).toEqual([1, 2, 7, 8])
    x.dispose()
    expect([...(await tail.read()).data]).toEqual([7, 8])
    expect(() => tail.view(1, [2])).toThrow(ArgumentError)
    expect(() => tail.view(0, [3])).toThrow(ArgumentError)
  })

  test('disposal: twice is once, use afterwards is refused', async () => {
    const x = device.zeros('float32', [4])
    expect([...(await x.read()).data]).toEqual([0, 0, 0, 0])
    x.dispose()
    x.dispose()
    await expect(x.read()).rejects.toThrow(StateError)
    expect(() => x.write(row(1, 2, 3, 4))).toThrow(StateError)
    expect(() => x.view(0, [1])).toThrow(StateError)
    expect(() => squaredNorm({ x })).toThrow(StateError)
  })

  test('memory is given out again, and never while it is in use', async () => {
    const before = device.freeMemory()
    const sums: DeviceTensor<'float64'>[] = []
    for (let i = 1; i <= 50; i++) {
      using x = device.upload(tensor('float32', [1000], new Float32Array(1000).fill(i)))
      sums.push(squaredNorm({ x }))
    }
    for (const [i, sum] of sums.entries()) {
      expect((await sum.read()).data[0]).toBe(1000 * (i + 1) ** 2)
      sum.dispose()
    }
    device.trim()
    expect(device.freeMemory()).toBeGreaterThanOrEqual(before)
  })

  test('host and device are not mixed, and nothing is moved silently', async () => {
    using x = device.upload(row(3, 4))
    expect(() => squaredNorm({ x: row(1), backend: 'cuda' })).toThrow(/upload/)
    expect(() => squaredNorm({ x, backend: 'cpu' })).toThrow(UnsupportedError)
    expect(() => squaredNorm({ x, backend: 'gpu' as 'cpu' })).toThrow(ArgumentError)
    using other = openDevice()
    using there = other.upload(row(1))
    expect(() => x.write(there as never)).toThrow(ArgumentError)
    await expect(x.read({ stream: other.current })).rejects.toThrow(ArgumentError)
    useBackend('cuda')
    try {
      expect(() => squaredNorm({ x: row(1) })).toThrow(/upload/)
    } finally {
      useBackend('auto')
    }
  })

  test('what is no device tensor is refused as a tensor is', () => {
    const forged = { type: 'float32', dims: [1], data: { length: 1 } } as unknown as AnyTensor
    expect(() => squaredNorm({ x: forged as never })).toThrow(/Float32Array/)
    expect(() => device.allocate('int4' as 'int32', [1])).toThrow(UnsupportedError)
    expect(() => device.allocate('float32', [-1])).toThrow(ArgumentError)
    expect(() => device.allocate('float32', [1 << 30, 1 << 12])).toThrow(/out of memory.*dispose/s)
    expect(() => openDevice(99)).toThrow(UnsupportedError)
  })

  test('streams go on beside each other, and wait for events', async () => {
    using a = device.stream()
    using b = device.stream()
    using x = device.upload(row(1, 2), { stream: a })
    using written = a.record()
    b.wait(written)
    using y = device.allocate('float32', [2])
    y.write(x, { stream: b })
    expect([...(await y.read({ stream: b })).data]).toEqual([1, 2])
    expect(a.finished).toBe(true)
    using end = b.record()
    await b.synchronize()
    expect(end.finished).toBe(true)
    expect(end.since(written)).toBeGreaterThanOrEqual(0)
    const gone = device.stream()
    gone.dispose()
    gone.dispose()
    await expect(gone.synchronize()).rejects.toThrow(StateError)
    expect(() => x.write(y, { stream: gone })).toThrow(StateError)
  })

  test('use() changes the stream for as long as it lasts', async () => {
    using stream = device.stream()
    const own = device.current
    using x = device.upload(row(1, 2, 2), { stream })
    using norm = device.use(stream, () => {
      expect(device.current).toBe(stream)
      return squaredNorm({ x })
    })
    expect(device.current).toBe(own)
    expect((await norm.read({ stream })).data[0]).toBe(9)
    expect(() => device.use(stream, async () => {})).toThrow(ArgumentError)
    expect(() =>
      device.use(stream, () => {
        throw new Error('mine')
      }),
    ).toThrow('mine')
    expect(device.current).toBe(own)
  })

  test('a graph does again what was captured, over the same tensors', async () => {
    const input = device.pinned('float32', [3])
    const x = device.zeros('float32', [3])
    using total = device.zeros('float64', [])
    let norm: DeviceTensor<'float64'>
    using graph = device.capture(() => {
      x.write(input)
      norm = squaredNorm({ x })
      total.write(norm)
      expect(() => x.write(row(1, 2, 3))).toThrow(StateError)
      expect(() => device.capture(() => {})).toThrow(StateError)
    })
    expect((await total.read()).data[0]).toBe(0)
    for (const n of [1, 2, 3]) {
      input.data.fill(n)
      graph.launch()
      expect((await total.read()).data[0]).toBe(3 * n * n)
    }
    // The graph keeps what it names.
    norm!.dispose()
    x.dispose()
    using filler = device.upload(tensor('float32', [3], new Float32Array(3).fill(Number.NaN)))
    input.data.fill(5)
    graph.launch()
    expect((await total.read()).data[0]).toBe(75)
    expect(filler.data.length).toBe(3)
    graph.dispose()
    expect(() => graph.launch()).toThrow(StateError)
  })

  test('a capture that fails leaves the device as it was', async () => {
    expect(() =>
      device.capture(() => {
        throw new Error('mine')
      }),
    ).toThrow('mine')
    await expect(device.synchronize()).resolves.toBeUndefined()
    device.capture(() => {}).dispose()
  })

  test('large and many at once', async () => {
    const random = rng(7)
    const arrays = Array.from({ length: 12 }, () =>
      Float32Array.from({ length: 1 + random.integer(70_000) }, () => random.normal()),
    )
    const norms = arrays.map((data) => {
      using x = device.upload(tensor('float32', [data.length], data))
      return squaredNorm({ x })
    })
    const got = await Promise.all(norms.map((norm) => norm.read()))
    for (const [i, data] of arrays.entries()) {
      const want = data.reduce((sum, x) => sum + x * x, 0)
      expect(Math.abs(got[i]!.data[0]! - want)).toBeLessThanOrEqual(1e-12 * want)
      norms[i]!.dispose()
    }
  })
})
