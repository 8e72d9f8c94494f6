import { describe, ShapeError } from './errors.js'
import { type DataType, elementCount } from './tensor.js'

/** What of a tensor is looked at: its elements may be anywhere. */
export interface TensorShape {
  readonly type: DataType
  readonly dims: readonly number[]
  readonly data: { readonly length: number }
}

/** A tensor, the pattern of its dims and, where it matters, the data types that are taken. */
export type Shaped = readonly [value: TensorShape | undefined, pattern: string, types?: DataType | readonly DataType[]]

/**
 * Check tensors against shape patterns and return the sizes that the patterns name.
 *
 * A pattern is a list of dims divided by blanks: a name binds a size (the same name means the same size everywhere in the
 * call), a number asks for that size, `_` takes any, a leading `...` takes any number of leading dims. The empty pattern is
 * a scalar. An `undefined` tensor (an argument that was left out) is passed over.
 *
 * @example const { N, C } = dims('klDivergence', { student: [z, 'N C'], teacher: [v, 'N C'] })
 * @throws ShapeError naming caller, argument, expected and got
 */
export function dims(caller: string, shaped: { readonly [argument: string]: Shaped }): { [name: string]: number } {
  const sizes = new Sizes()
  for (const argument in shaped) {
    // By index: destructuring asks an iterator, and small kernels take less time than that.
    const given = shaped[argument]!
    const value = given[0]
    const pattern = given[1]
    const types = given[2]
    if (value === undefined) continue
    checkTensor(caller, argument, value)
    if (types !== undefined) checkType(caller, argument, value, types)
    const parsed = patterns.get(pattern) ?? parse(pattern)
    if (!bind(value.dims, parsed, sizes))
      throw new ShapeError(caller, argument, `[${spell(parsed, sizes)}]`, `[${value.dims.join(', ')}]`)
  }
  return sizes
}

/** An object that inherits no names, and still a fast one, which what Object.create(null) gives is not. */
class Sizes {
  [name: string]: number
}
Object.setPrototypeOf(Sizes.prototype, null)
Reflect.deleteProperty(Sizes.prototype, 'constructor')

interface Pattern {
  readonly open: boolean
  /** A name, `_`, or the size that is asked for. */
  readonly dims: readonly (string | number)[]
}

/** Patterns are few, and small kernels take less time than reading them anew would. Those that are made of sizes are not kept. */
const patterns = new Map<string, Pattern>()

function parse(pattern: string): Pattern {
  const dims = pattern.split(' ').filter((name) => name !== '')
  const open = dims[0] === '...'
  if (open) dims.shift()
  const parsed = { open, dims: dims.map((name) => (/^\d+$/.test(name) ? Number(name) : name)) }
  if (!/\d/.test(pattern)) patterns.set(pattern, parsed)
  return parsed
}

/** Whether dims fit; names that are new get their sizes. */
function bind(got: readonly number[], { open, dims }: Pattern, sizes: { [name: string]: number }): boolean {
  const skipped = got.length - dims.length
  if (open ? skipped < 0 : skipped !== 0) return false
  for (let i = 0; i < dims.length; i++) {
    const name = dims[i]!
    const size = got[skipped + i]!
    if (name === '_') continue
    if (typeof name === 'string') sizes[name] ??= size
    if (size !== (typeof name === 'number' ? name : sizes[name])) return false
  }
  return true
}

function spell({ open, dims }: Pattern, sizes: { readonly [name: string]: number }): string {
  const spelled = dims.map((name) => (name in sizes ? `${name}=${sizes[name]}` : String(name)))
  return [...(open ? ['...'] : []), ...spelled].join(', ')
}

function checkTensor(caller: string, argument: string, value: TensorShape): void {
  if (typeof value !== 'object' || value === null || !Array.isArray(value.dims) || value.data == null)
    throw new ShapeError(caller, argument, 'a tensor { type, dims, data }', describe(value))
  for (let i = 0; i < value.dims.length; i++)
    if (!Number.isSafeInteger(value.dims[i]) || value.dims[i]! < 0)
      throw new ShapeError(caller, argument, 'a tensor whose dims are whole numbers ≥ 0', describe([...value.dims]))
  const expected = elementCount(value.dims)
  if (value.data.length !== expected)
    throw new ShapeError(
      caller,
      argument,
      `${expected} elements for dims [${value.dims.join(', ')}]`,
      `${value.data.length}${isDetached(value.data) ? ' (its buffer is detached)' : ''}`,
    )
}

function checkType(caller: string, argument: string, value: TensorShape, types: DataType | readonly DataType[]): void {
  if (typeof types === 'string' ? types === value.type : types.includes(value.type)) return
  throw new ShapeError(
    caller,
    argument,
    `of type ${typeof types === 'string' ? types : types.join(' or ')}`,
    value.type,
  )
}

function isDetached(data: unknown): boolean {
  return ArrayBuffer.isView(data) && data.byteLength === 0 && data.buffer.byteLength === 0
}
