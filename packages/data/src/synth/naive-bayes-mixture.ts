import { ArgumentError, permutation, type Rng } from '@imago/tensor'
import { emptyCells, type Table, takeRows } from '../table/table.js'
import { checkRows } from './munge-options.js'

/** The distribution of one attribute in each component. */
export type AttributeMixture =
  | {
      readonly kind: 'continuous'
      readonly mean: Float64Array
      readonly deviation: Float64Array
      readonly missing: Float64Array
    }
  /** Probability of value v in component m at [m·V + v], the last of the V being that of a missing value. */
  | { readonly kind: 'nominal'; readonly values: number; readonly probability: Float64Array }

/** A mixture of components in each of which attributes are independent. */
export interface NaiveBayesMixture {
  /** The share of each component, adding up to 1. */
  readonly weights: Float64Array
  readonly attributes: readonly AttributeMixture[]
  /** Mean log-likelihood of a row after each iteration, nats. */
  readonly history: readonly number[]
}

export interface FitMixtureOptions {
  /**
   * How many components. Left out: 1, 2, 4, … as long as the likelihood of a tenth of the rows, held out, grows; then fitted on all rows.
   */
  readonly components?: number | undefined
  /** EM stops after so many iterations (100 unless given), or when a row's log-likelihood grows by less than 10⁻⁴. */
  readonly iterations?: number | undefined
  readonly rng: Rng
}

const mostComponents = 128
const enough = 1e-4

/**
 * A mixture of naive Bayes models fitted by EM: what NBE (Lowd & Domingos 2005) is to Bucilă, Caruana & Niculescu-Mizil 2006 (§3.2), the
 * second baseline of MUNGE. In a component continuous attributes are normal, nominal ones multinomial (with one count of prior mass
 * spread over the values), and whether a value is missing is an event of its own. The EM is plain; NBE's component by component growth is replaced by
 * doubling.
 *
 * @throws ArgumentError
 */
export function naiveBayesMixture(source: Table, options: FitMixtureOptions): NaiveBayesMixture {
  const { components, iterations = 100, rng } = options
  const caller = 'naiveBayesMixture'
  if (source.length === 0) throw new ArgumentError(caller, 'source', 'a table with at least one row', 0)
  if (components !== undefined && !(Number.isSafeInteger(components) && components > 0))
    throw new ArgumentError(caller, 'components', 'a whole number ≥ 1', components)
  if (!(Number.isSafeInteger(iterations) && iterations > 0))
    throw new ArgumentError(caller, 'iterations', 'a whole number ≥ 1', iterations)
  return fit(source, components ?? chosen(source, iterations, rng), iterations, rng.split('whole'))
}

function chosen(source: Table, iterations: number, rng: Rng): number {
  const held = Math.floor(source.length / 10)
  if (held === 0) return 1
  const order = permutation(rng.split('held out'), source.length)
  const [test, train] = [takeRows(source, order.slice(0, held)), takeRows(source, order.slice(held))]
  let [best, found] = [Number.NEGATIVE_INFINITY, 1]
  for (let count = 1; count <= Math.min(mostComponents, train.length); count *= 2) {
    const likelihood = logLikelihood(fit(train, count, iterations, rng.split(`try ${count}`)), test)
    if (likelihood <= best) break
    ;[best, found] = [likelihood, count]
  }
  return found
}

/** Mean log-likelihood of the rows of a table, nats. */
export function logLikelihood(mixture: NaiveBayesMixture, rows: Table): number {
  return expectation(mixture, rows, new Float64Array(rows.length * mixture.weights.length))
}

/** Draw rows: a component for each, then each attribute by itself. */
export function sampleMixture(
  mixture: NaiveBayesMixture,
  source: Pick<Table, 'schema' | 'columns'>,
  options: { readonly rows: number; readonly rng: Rng },
): Table {
  const { rows, rng } = options
  checkRows('sampleMixture', rows)
  const pick = rng.split('component')
  const component = Int32Array.from({ length: rows }, () => draw(mixture.weights, 0, mixture.weights.length, pick))
  const columns = mixture.attributes.map((attribute, c) => {
    const random = rng.split(`column ${c}`)
    const out = emptyCells(source.columns[c]!, rows)
    for (let row = 0; row < rows; row++) {
      const m = component[row]!
      if (attribute.kind === 'nominal') {
        const V = attribute.values
        const value = draw(attribute.probability, m * V, V, random)
        out[row] = value === V - 1 ? -1 : value
      } else
        out[row] =
          random.uniform() < attribute.missing[m]!
            ? Number.NaN
            : attribute.mean[m]! + attribute.deviation[m]! * random.normal()
    }
    return out
  })
  return { schema: source.schema, length: rows, columns }
}

function draw(probability: Float64Array, from: number, count: number, random: Rng): number {
  let left = random.uniform()
  for (let i = 0; i < count; i++) {
    left -= probability[from + i]!
    if (left < 0) return i
  }
  // What rounding leaves over belongs to the last that has mass.
  for (let i = count - 1; i > 0; i--) if (probability[from + i]! > 0) return i
  return 0
}

function fit(source: Table, components: number, iterations: number, rng: Rng): NaiveBayesMixture {
  const shares = new Float64Array(source.length * components)
  // Every row begins mostly in one component, drawn at random: with equal shares EM would never part them.
  for (let row = 0; row < source.length; row++) {
    shares.fill(0.1 / components, row * components, (row + 1) * components)
    shares[row * components + rng.integer(components)]! += 0.9
  }
  const floors = source.columns.map((cells) => (cells instanceof Float64Array ? 1e-3 * deviationOf(cells) : 0))
  const history: number[] = []
  let mixture = maximisation(source, shares, components, floors, history)
  for (let i = 0; i < iterations; i++) {
    history.push(expectation(mixture, source, shares))
    mixture = maximisation(source, shares, components, floors, history)
    if (components === 1 || (i > 0 && history[i]! - history[i - 1]! < enough)) break
  }
  return mixture
}

/** Each component's share of each row, [N, M]; returns the mean log-likelihood. */
function expectation({ weights, attributes }: NaiveBayesMixture, source: Table, shares: Float64Array): number {
  const M = weights.length
  for (let row = 0; row < source.length; row++) for (let m = 0; m < M; m++) shares[row * M + m] = Math.log(weights[m]!)
  for (const [c, attribute] of attributes.entries()) {
    const cells = source.columns[c]!
    if (attribute.kind === 'nominal') {
      const logs = attribute.probability.map(logOf)
      const V = attribute.values
      for (let row = 0; row < source.length; row++) {
        const value = cells[row]! < 0 ? V - 1 : cells[row]!
        for (let m = 0; m < M; m++) shares[row * M + m]! += logs[m * V + value]!
      }
      continue
    }
    const { mean, deviation, missing } = attribute
    const known = missing.map((p, m) => logOf(1 - p) - Math.log(deviation[m]! * Math.sqrt(2 * Math.PI)))
    const unknown = missing.map(logOf)
    const scale = deviation.map((d) => 1 / d)
    for (let row = 0; row < source.length; row++) {
      const x = cells[row]!
      for (let m = 0; m < M; m++)
        shares[row * M + m]! += Number.isNaN(x) ? unknown[m]! : known[m]! - ((x - mean[m]!) * scale[m]!) ** 2 / 2
    }
  }
  let total = 0
  for (let row = 0; row < source.length; row++) {
    const own = shares.subarray(row * M, (row + 1) * M)
    let top = Number.NEGATIVE_INFINITY
    for (const l of own) if (l > top) top = l
    let sum = 0
    for (let m = 0; m < M; m++) sum += own[m] = Math.exp(own[m]! - top)
    for (let m = 0; m < M; m++) own[m]! /= sum
    total += top + Math.log(sum)
  }
  return total / source.length
}

/** What has not happened among the rows that were fitted may happen among others: improbable, not impossible. */
function logOf(probability: number): number {
  return Math.log(Math.max(probability, 1e-12))
}

/** The parameters that the shares ask for. */
function maximisation(
  source: Table,
  shares: Float64Array,
  M: number,
  floors: readonly number[],
  history: readonly number[],
): NaiveBayesMixture {
  const counts = new Float64Array(M)
  for (let i = 0; i < shares.length; i++) counts[i % M]! += shares[i]!
  const weights = counts.map((count) => (count + 1e-6) / (source.length + M * 1e-6))
  const attributes = source.schema.columns.map((column, c): AttributeMixture => {
    const cells = source.columns[c]!
    if (column.kind === 'nominal') {
      const V = column.values.length + 1
      const missing = cells.includes(-1)
      const probability = new Float64Array(M * V)
      for (let row = 0; row < source.length; row++) {
        const value = cells[row]! < 0 ? V - 1 : cells[row]!
        for (let m = 0; m < M; m++) probability[m * V + value]! += shares[row * M + m]!
      }
      const possible = missing ? V : V - 1
      for (let m = 0; m < M; m++)
        for (let v = 0; v < V; v++) {
          const prior = v < possible ? 1 / possible : 0
          probability[m * V + v] = (probability[m * V + v]! + prior) / (counts[m]! + 1)
        }
      return { kind: 'nominal', values: V, probability }
    }
    return normal(cells as Float64Array, shares, counts, floors[c]!)
  })
  return { weights, attributes, history }
}

function normal(cells: Float64Array, shares: Float64Array, counts: Float64Array, floor: number): AttributeMixture {
  const M = counts.length
  const [mass, mean, square] = [new Float64Array(M), new Float64Array(M), new Float64Array(M)]
  for (let row = 0; row < cells.length; row++) {
    if (Number.isNaN(cells[row])) continue
    for (let m = 0; m < M; m++) {
      mass[m]! += shares[row * M + m]!
      mean[m]! += shares[row * M + m]! * cells[row]!
    }
  }
  for (let m = 0; m < M; m++) mean[m] = mass[m]! > 0 ? mean[m]! / mass[m]! : 0
  for (let row = 0; row < cells.length; row++) {
    if (Number.isNaN(cells[row])) continue
    for (let m = 0; m < M; m++) square[m]! += shares[row * M + m]! * (cells[row]! - mean[m]!) ** 2
  }
  // A component that has shrunk to one point would have any likelihood: its deviation keeps a thousandth of the column's.
  const deviation = square.map((sum, m) => Math.max(mass[m]! > 0 ? Math.sqrt(sum / mass[m]!) : 0, floor, 1e-9))
  const missing = mass.map((known, m) => (counts[m]! > 0 ? Math.min(1, Math.max(0, 1 - known / counts[m]!)) : 0))
  return { kind: 'continuous', mean, deviation, missing }
}

function deviationOf(cells: Float64Array): number {
  const known = cells.filter((x) => !Number.isNaN(x))
  const mean = known.reduce((a, b) => a + b, 0) / Math.max(1, known.length)
  return Math.sqrt(known.reduce((sum, x) => sum + (x - mean) ** 2, 0) / Math.max(1, known.length))
}
