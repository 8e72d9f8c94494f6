import { ArgumentError, dims, NumericError, type Tensor } from '@imago/tensor'
import { type ClassSet, checkClassSet, placesOf } from '../sets/class-set.js'

/**
 * The constant a of a dustbin logit d = mean of the rest's logits + ln |rest| + a, such that over the sample the dustbin's mean probability in
 * softmax([z_S, d]) is the mean probability that the generalist gives all classes of the rest. d is the logit of a linear layer's row that is the
 * mean of the rest's rows. By Jensen's inequality a ≥ 0; 0 where the rest is one class. In nats.
 *
 * The mean mass grows with a, and each row alone has its own a, ln Σ_rest e^z − mean z − ln |rest|: the answer lies between the least and the largest of
 * these, where bisection finds it to float64's precision.
 *
 * @param logits the generalist's, `[N, C]`, float32
 * @throws ArgumentError, ShapeError, NumericError naming a row whose logits are not finite
 */
export function fitDustbin({ logits, set }: { readonly logits: Tensor; readonly set: ClassSet }): number {
  const caller = 'fitDustbin'
  const { N, C } = dims(caller, { logits: [logits, 'N C', 'float32'] }) as { N: number; C: number }
  checkClassSet(caller, set, C)
  if (N === 0) throw new ArgumentError(caller, 'logits', 'of at least one row', 0)
  const places = placesOf(set, C)
  const rest = C - set.classes.length
  // Row r has the dustbin's odds e^(margin + a) to 1, and gives the rest e^(margin + own) to 1.
  const margin = new Float64Array(N)
  const own = new Float64Array(N)
  const data = logits.data as Float32Array
  for (let r = 0; r < N; r++) {
    const row = data.subarray(r * C, (r + 1) * C)
    if (!row.every(Number.isFinite)) throw new NumericError(caller, `logits of row ${r} are not finite`)
    let sum = 0
    for (let c = 0; c < C; c++) if (places[c] === set.classes.length) sum += row[c]!
    const dustbin = sum / rest + Math.log(rest)
    margin[r] = dustbin - logSum(row, (c) => places[c]! < set.classes.length)
    own[r] = rest === 1 ? 0 : logSum(row, (c) => places[c] === set.classes.length) - dustbin
  }
  const mass = (a: (r: number) => number): number => {
    let sum = 0
    for (let r = 0; r < N; r++) sum += 1 / (1 + Math.exp(-(margin[r]! + a(r))))
    return sum
  }
  const wanted = mass((r) => own[r]!)
  let low = own.reduce((a, b) => Math.min(a, b))
  let high = own.reduce((a, b) => Math.max(a, b))
  for (let middle = (low + high) / 2; low < middle && middle < high; middle = (low + high) / 2) {
    if (mass(() => middle) < wanted) low = middle
    else high = middle
  }
  return high
}

/** ln Σ e^z over the classes that `among` tells. */
function logSum(row: Float32Array, among: (c: number) => boolean): number {
  let top = Number.NEGATIVE_INFINITY
  for (let c = 0; c < row.length; c++) if (among(c) && row[c]! > top) top = row[c]!
  let sum = 0
  for (let c = 0; c < row.length; c++) if (among(c)) sum += Math.exp(row[c]! - top)
  return top + Math.log(sum)
}
