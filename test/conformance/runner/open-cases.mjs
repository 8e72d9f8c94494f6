import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/**
 * The conformance data: a folder with index.json, or a .tar.gz of such a folder (read into memory, nothing is unpacked).
 * Gives the index and `file(path)`, a path relative to the index; undefined where there is no such file.
 */
export function openCases(path) {
  if (!existsSync(path)) throw new Error(`${path}: there is no such file or folder`)
  const source = statSync(path).isDirectory() ? folder(path) : archive(path)
  const index = JSON.parse(Buffer.from(source.file('index.json')).toString('utf8'))
  if (!Array.isArray(index.cases)) throw new Error(`${path}: its index.json has no list "cases"`)
  return { index, file: source.file }
}

/** Where the cases are under the folder of shared data, or beside it; undefined where they are not. */
export function findCases(shared) {
  const places = [shared, join(shared, '..')].map((at) => join(at, 'conformance', 'onnx-backend-tests.tar.gz'))
  return places.find((at) => existsSync(at))
}

function folder(path) {
  const root = ['.', 'onnx-node'].map((inner) => join(path, inner)).find((at) => existsSync(join(at, 'index.json')))
  if (root === undefined) throw new Error(`${path}: there is no index.json in it`)
  return { file: (name) => (existsSync(join(root, name)) ? readFileSync(join(root, name)) : undefined) }
}

function archive(path) {
  const files = untar(gunzipSync(readFileSync(path)))
  const index = [...files.keys()]
    .filter((name) => basename(name) === 'index.json')
    .sort((p, q) => p.length - q.length)[0]
  if (index === undefined) throw new Error(`${path}: there is no index.json in it`)
  const root = dirname(index)
  return { file: (name) => files.get(root === '.' ? name : `${root}/${name}`) }
}

/** The plain files of a tar archive (ustar and pax headers, GNU long names) by path, as views of it. */
function untar(bytes) {
  const files = new Map()
  const text = (from, length) => bytes.toString('utf8', from, from + length).replace(/\0.*$/s, '')
  let long
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12).trim() || '0', 8)
    const type = String.fromCharCode(bytes[at + 156])
    const prefix = text(at + 345, 155)
    const name = long ?? (prefix === '' ? text(at, 100) : `${prefix}/${text(at, 100)}`)
    const start = at + 512
    long = undefined
    if (type === 'L') long = text(start, size)
    else if (type === 'x') long = paxPath(bytes.toString('utf8', start, start + size))
    else if (type === '0' || type === '\0') files.set(name.replace(/^\.\//, ''), bytes.subarray(start, start + size))
    at = start + Math.ceil(size / 512) * 512
  }
  return files
}

function paxPath(records) {
  return /^\d+ path=(.*)$/m.exec(records)?.[1]
}
