import type { Dim, Shape } from './ir.js'

/**
 * The algebra of sizes. A size is a number or a product of a number and symbols, spelled canonically: the number first
 * (left out where it is 1), then the symbols in code unit order, joined by `*`: `N`, `4*N`, `2*H*W`. A symbol that is not a
 * plain word (`past + 1`, as files may have it) stands in parentheses inside a product. What cannot be spelled so is `undefined`
 * here, and a fresh symbol in `inferShapes`; a product of more than 32 symbols is the unknown size `?`.
 */
export function mulDim(a: Dim, b: Dim): Dim {
  if (a === '?' || b === '?') return '?'
  if (typeof a === 'number' && typeof b === 'number') return a * b
  const [m, s] = parse(a)
  const [n, t] = parse(b)
  return spell(m * n, [...s, ...t].sort())
}

/** The product of all sizes of a shape: its element count. */
export function productDim(shape: Shape): Dim {
  return shape.reduce(mulDim, 1)
}

/** a / b where it divides exactly whatever the symbols stand for, else undefined. */
export function divDim(a: Dim, b: Dim): Dim | undefined {
  if (a === '?' || b === '?') return undefined
  const [m, s] = parse(a)
  const [n, t] = parse(b)
  if (n === 0 || m % n !== 0) return undefined
  const rest = [...s]
  for (const symbol of t) {
    const at = rest.indexOf(symbol)
    if (at < 0) return undefined
    rest.splice(at, 1)
  }
  return spell(m / n, rest)
}

/** a + b where both are multiples of the same product of symbols, else undefined. */
export function addDim(a: Dim, b: Dim): Dim | undefined {
  if (a === 0) return b
  if (b === 0) return a
  if (a === '?' || b === '?') return undefined
  const [m, s] = parse(a)
  const [n, t] = parse(b)
  return s.join('*') === t.join('*') ? spell(m + n, s) : undefined
}

/** a − b where both are multiples of the same product of symbols, else undefined. */
export function subDim(a: Dim, b: Dim): Dim | undefined {
  return addDim(a, mulDim(-1, b))
}

/** True where two sizes are equal whatever their symbols stand for. A bare `?` equals nothing. */
export function equalDim(a: Dim | undefined, b: Dim | undefined): boolean {
  return a === b && a !== undefined && a !== '?'
}

/** True where two shapes are equal whatever their symbols stand for. */
export function equalShape(a: Shape | undefined, b: Shape | undefined): boolean {
  return a !== undefined && b !== undefined && a.length === b.length && a.every((dim, i) => equalDim(dim, b[i]))
}

/** The number that a size stands for under the given sizes of symbols, or undefined where one is missing. */
export function evaluateDim(dim: Dim, sizes: ReadonlyMap<string, number>): number | undefined {
  let [value, symbols] = parse(dim)
  for (const symbol of symbols) {
    const size = sizes.get(symbol)
    if (size === undefined) return undefined
    value *= size
  }
  return value
}

const word = /^[\p{L}_?][\p{L}\p{N}_.?:/-]*$/u
const factor = /(\([^()]*\)|[^*()]+)(?:\*|$)/uy

/** Coefficient and sorted symbols. A spelling that is no product is one symbol. */
function parse(dim: Dim): [number, string[]] {
  if (typeof dim === 'number') return [dim, []]
  if (word.test(dim)) return [1, [dim]]
  let coefficient = 1
  const symbols: string[] = []
  factor.lastIndex = 0
  while (factor.lastIndex < dim.length) {
    const found = factor.exec(dim)?.[1]
    if (found === undefined) return [1, [dim]]
    if (/^-?\d+$/.test(found)) coefficient *= Number(found)
    else if (word.test(found)) symbols.push(found)
    else if (found.startsWith('(')) symbols.push(found.slice(1, -1))
    else return [1, [dim]]
  }
  return [coefficient, symbols.sort()]
}

/** A graph that squares a size over and over would otherwise spell a product of 2ⁿ symbols after n nodes. */
const mostFactors = 32

function spell(coefficient: number, symbols: readonly string[]): Dim {
  if (symbols.length > mostFactors) return '?'
  if (coefficient === 0 || symbols.length === 0) return coefficient
  if (coefficient === 1 && symbols.length === 1) return symbols[0]!
  const factors = symbols.map((symbol) => (word.test(symbol) ? symbol : `(${symbol})`))
  return [...(coefficient === 1 ? [] : [String(coefficient)]), ...factors].join('*')
}
