import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FormatError, NotFoundError } from '@imago/tensor'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { download } from '../../src/mnist/download.js'

const body = Buffer.alloc(200_000, 'imago')
const file = {
  name: 'sample',
  bytes: body.length,
  sha256: createHash('sha256').update(body).digest('hex'),
}

let folder: string
let path: string
const servers: Server[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'imago-download-'))
  path = join(folder, 'cache', 'sample.gz')
})
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
  rmSync(folder, { recursive: true })
})

/** A mirror on this machine that answers as it is told. */
async function mirror(answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  servers.push(server)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}
const sound: RequestListener = (_, response) => response.end(body)
const get = (mirrors: readonly string[], signal?: AbortSignal): Promise<void> =>
  download(file, path, { mirrors, fetch, ...(signal ? { signal } : {}) })
const left = (): string[] => (existsSync(join(folder, 'cache')) ? readdirSync(join(folder, 'cache')) : [])

test('a sound file arrives under its name, and nothing beside it', async () => {
  const asked: string[] = []
  const url = await mirror((request, response) => {
    asked.push(request.url!)
    response.end(body)
  })
  await get([url])
  expect(readFileSync(path)).toEqual(body)
  expect(asked).toEqual(['/sample.gz'])
  expect(left()).toEqual(['sample.gz'])
})

test('the next mirror is asked where one has nothing, or something else', async () => {
  const gone = await mirror((_, response) => response.writeHead(404).end())
  const other = await mirror((_, response) => response.end('something else'))
  await get([gone, other, await mirror(sound)])
  expect(readFileSync(path)).toEqual(body)
  expect(left()).toEqual(['sample.gz'])
})

test.each<[string, RequestListener, RegExp]>([
  ['a byte changed', (_, response) => response.end(Buffer.concat([body.subarray(1), body.subarray(0, 1)])), /SHA-256/],
  ['too short', (_, response) => response.end(body.subarray(1)), /got 199999 bytes/],
])('%s: refused, nothing left behind', async (_, answer, message) => {
  const error = await get([await mirror(answer)]).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(FormatError)
  expect((error as Error).message).toMatch(message)
  expect(left()).toEqual([])
})

test('a body without an end is cut off at the size of the file', async () => {
  const endless: RequestListener = (request, response) => {
    const write = (): void => {
      while (!request.destroyed && response.write(body));
      response.once('drain', write)
    }
    write()
  }
  await expect(get([await mirror(endless)])).rejects.toThrow(/got more bytes/)
  expect(left()).toEqual([])
})

test('a connection that breaks, a redirect, no server at all: NotFoundError with what to do', async () => {
  const broken = await mirror((_, response) => {
    response.writeHead(200, { 'content-length': body.length })
    response.write(body.subarray(0, 1000), () => response.destroy())
  })
  const elsewhere = await mirror(sound)
  const redirect = await mirror((_, response) => response.writeHead(302, { location: elsewhere }).end())
  for (const url of [broken, redirect, 'http://127.0.0.1:1/']) {
    const error = await get([url]).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(NotFoundError)
    expect((error as Error).message).toMatch(/could not be downloaded .*\. Connect to a network, or put/)
    expect(left()).toEqual([])
  }
})

test('a signal ends it, and nothing is left behind', async () => {
  const stop = new AbortController()
  const slow = await mirror((_, response) => {
    response.write(body.subarray(0, 1000), () => stop.abort(new Error('enough')))
  })
  await expect(get([slow], stop.signal)).rejects.toThrow('enough')
  expect(left()).toEqual([])
})

test('two at once: one good copy', async () => {
  const url = await mirror(sound)
  await Promise.all([get([url]), get([url])])
  expect(readFileSync(path)).toEqual(body)
  expect(left()).toEqual(['sample.gz'])
})
