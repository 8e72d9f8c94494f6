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
  const sizes: { [name: string]: number } = Object.create(null)
  for (const argument in shaped) {
    const [value, pattern, types] = shaped[argument]!
    if (value === undefined) continue
    checkTensor(caller, argument, value)
    if (types !== undefined) checkType(caller, argument, value, types)
    bind(caller, argument, value, pattern, sizes)
  }
  return sizes
}

function bind(
  caller: string,
  argument: string,
  value: TensorShape,
  pattern: string,
  sizes: { [name: string]: number },
): void {
  const names = pattern.split(' ').filter((name) => name !== '')
  const open = names[0] === '...'
  if (open) names.shift()
  const got = value.dims.slice(open ? Math.max(0, value.dims.length - names.length) : 0)
  const fits = got.length === names.length && names.every((name, i) => accept(name, got[i]!, sizes))
  if (!fits) throw new ShapeError(caller, argument, `[${spell(names, sizes, open)}]`, `[${value.dims.join(', ')}]`)
}

function accept(name: string, size: number, sizes: { [name: string]: number }): boolean {
  if (name === '_') return true
  if (/^\d+$/.test(name)) return size === Number(name)
  sizes[name] ??= size
  return sizes[name] === size
}

function spell(names: readonly string[], sizes: { readonly [name: string]: number }, open: boolean): string {
  const spelled = names.map((name) => (name in sizes ? `${name}=${sizes[name]}` : name))
  return [...(open ? ['...'] : []), ...spelled].join(', ')
}

function checkTensor(caller: string, argument: string, value: TensorShape): void {
  if (typeof value !== 'object' || value === null || !Array.isArray(value.dims) || value.data === undefined)
    throw new ShapeError(caller, argument, 'a tensor { type, dims, data }', describe(value))
  for (const dim of value.dims)
    if (!Number.isSafeInteger(dim) || dim < 0)
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
  const taken = typeof types === 'string' ? [types] : types
  if (!taken.includes(value.type)) throw new ShapeError(caller, argument, `of type ${taken.join(' or ')}`, value.type)
}

function isDetached(data: unknown): boolean {
  return ArrayBuffer.isView(data) && data.byteLength === 0 && data.buffer.byteLength === 0
}
