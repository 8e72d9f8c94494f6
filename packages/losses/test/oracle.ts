/**
 * The losses as the formulas are printed, in plain float64, rows as arrays: what the tests judge by. Nothing of it is shared
 * with the kernels.
 */
export type Matrix = readonly (readonly number[])[]

export function softmax(logits: readonly number[], temperature: number): number[] {
  const max = Math.max(...logits)
  const e = logits.map((z) => Math.exp((z - max) / temperature))
  const sum = e.reduce((a, b) => a + b)
  return e.map((x) => x / sum)
}

/** Σ p·log(p/q), nats. */
export function kl(p: readonly number[], q: readonly number[]): number {
  return p.reduce((sum, x, i) => sum + (x === 0 ? 0 : x * Math.log(x / q[i]!)), 0)
}

/** Σ_rows w·[(1−a)·T²·KL + a·CE] / Σ w; label −1: soft term only; label −100: left out. */
export function softTargetValue(
  student: Matrix,
  teacher: Matrix,
  options: { temperature: number; hardWeight?: number; labels?: readonly number[]; weights?: readonly number[] },
): number {
  const { temperature: t, hardWeight: a = 0, labels, weights } = options
  return mean(student, labels, weights, (z, row, label) => {
    const soft = t * t * kl(softmax(teacher[row]!, t), softmax(z, t))
    return (1 - a) * soft + a * crossEntropyRow(z, label, 0)
  })
}

/** The same with KL of k + 1 buckets: the teacher's k largest classes (of equals the first), and all others together. */
export function topKSoftTargetValue(
  student: Matrix,
  teacher: Matrix,
  k: number,
  options: { temperature: number; hardWeight?: number; labels?: readonly number[]; weights?: readonly number[] },
): number {
  const { temperature: t, hardWeight: a = 0, labels, weights } = options
  return mean(student, labels, weights, (z, row, label) => {
    const [p, q] = [softmax(teacher[row]!, t), softmax(z, t)]
    const kept = largest(teacher[row]!, k)
    const pooled = (x: readonly number[]) => [
      ...kept.map((c) => x[c]!),
      x.reduce((sum, y, c) => sum + (kept.includes(c) ? 0 : y), 0),
    ]
    const buckets = kept.length === z.length ? kl(p, q) : kl(pooled(p), pooled(q))
    return (1 - a) * t * t * buckets + a * crossEntropyRow(z, label, 0)
  })
}

export function largest(row: readonly number[], k: number): number[] {
  return [...row.keys()].sort((i, j) => row[j]! - row[i]! || i - j).slice(0, k)
}

export function crossEntropyValue(
  student: Matrix,
  labels: readonly number[],
  smoothing: number,
  weights?: readonly number[],
): number {
  return mean(student, labels, weights, (z, _, label) => crossEntropyRow(z, label, smoothing))
}

export function regressionValue(
  student: Matrix,
  teacher: Matrix,
  zeroMean: boolean,
  weights?: readonly number[],
): number {
  const centred = (row: readonly number[]) => {
    const m = zeroMean ? row.reduce((a, b) => a + b) / row.length : 0
    return row.map((x) => x - m)
  }
  return mean(student, undefined, weights, (z, row) => {
    const v = centred(teacher[row]!)
    return centred(z).reduce((sum, x, i) => sum + (x - v[i]!) ** 2 / 2, 0)
  })
}

/** Σ w·½·Σ_c (q_c − p_c)² / Σ w. */
export function squaredProbabilityValue(
  student: Matrix,
  teacher: Matrix,
  t: number,
  weights?: readonly number[],
): number {
  return mean(student, undefined, weights, (z, row) => {
    const p = softmax(teacher[row]!, t)
    return softmax(z, t).reduce((sum, q, c) => sum + (q - p[c]!) ** 2 / 2, 0)
  })
}

/** Σ w·T²·KL(q ‖ p) / Σ w. */
export function reverseKlValue(student: Matrix, teacher: Matrix, t: number, weights?: readonly number[]): number {
  return mean(student, undefined, weights, (z, row) => t * t * kl(softmax(z, t), softmax(teacher[row]!, t)))
}

/** Σ w·T²·[β·KL(p ‖ m) + (1 − β)·KL(q ‖ m)] / Σ w, m = β·p + (1 − β)·q. */
export function jsdValue(
  student: Matrix,
  teacher: Matrix,
  { temperature: t, beta }: { temperature: number; beta: number },
  weights?: readonly number[],
): number {
  return mean(student, undefined, weights, (z, row) => {
    const [q, p] = [softmax(z, t), softmax(teacher[row]!, t)]
    const m = p.map((x, c) => beta * x + (1 - beta) * q[c]!)
    return t * t * (beta * kl(p, m) + (1 - beta) * kl(q, m))
  })
}

/** Σ w·T·½·Σ |q − p| / Σ w. */
export function totalVariationValue(student: Matrix, teacher: Matrix, t: number, weights?: readonly number[]): number {
  return mean(student, undefined, weights, (z, row) => {
    const p = softmax(teacher[row]!, t)
    return (t / 2) * softmax(z, t).reduce((sum, q, c) => sum + Math.abs(q - p[c]!), 0)
  })
}

/** Σ w·T²·(α·TCKD + β·NCKD) / Σ w; label −1: 0. */
export function dkdValue(
  student: Matrix,
  teacher: Matrix,
  labels: readonly number[],
  { temperature: t, alpha, beta }: { temperature: number; alpha: number; beta: number },
  weights?: readonly number[],
): number {
  return mean(student, labels, weights, (z, row, label) => {
    if (label === -1) return 0
    const v = teacher[row]!
    // Not 1 − p: of a row that is sure of its label nothing would be left but rounding.
    const binary = (x: readonly number[]) => {
      const p = softmax(x, t)
      return [p[label]!, p.reduce((sum, one, c) => (c === label ? sum : sum + one), 0)]
    }
    const rest = (x: readonly number[]) =>
      softmax(
        x.filter((_, c) => c !== label),
        t,
      )
    return t * t * (alpha * kl(binary(v), binary(z)) + beta * kl(rest(v), rest(z)))
  })
}

/** −p_y·ln q_y − γ·T²·Σ p̂·ln q̂, p̂ and q̂ over the classes that are not y; label −1: 0. */
export function nkdValue(
  student: Matrix,
  teacher: Matrix,
  labels: readonly number[],
  { temperature: t, gamma }: { temperature: number; gamma: number },
  weights?: readonly number[],
): number {
  return mean(student, labels, weights, (z, row, label) => {
    if (label === -1) return 0
    const v = teacher[row]!
    const others = (x: readonly number[]) =>
      softmax(
        x.filter((_, c) => c !== label),
        t,
      )
    const [q, p] = [others(z), others(v)]
    const rest = p.reduce((sum, one, c) => sum - one * Math.log(q[c]!), 0)
    return -softmax(v, 1)[label]! * Math.log(softmax(z, 1)[label]!) + gamma * t * t * rest
  })
}

/** (1 − α)·CE + α·T²·KL(p_T ‖ q_T), p giving `correct` to the label and the rest to the others alike; label −1: 0. */
export function virtualTeacherValue(
  student: Matrix,
  labels: readonly number[],
  { temperature: t, correct, softWeight }: { temperature: number; correct: number; softWeight: number },
  weights?: readonly number[],
): number {
  return mean(student, labels, weights, (z, _, label) => {
    if (label === -1) return 0
    const powers = z.map((_, c) => (c === label ? correct : (1 - correct) / (z.length - 1)) ** (1 / t))
    const p = powers.map((x) => x / powers.reduce((a, b) => a + b))
    return (1 - softWeight) * crossEntropyRow(z, label, 0) + softWeight * t * t * kl(p, softmax(z, t))
  })
}

/** (z − mean) / (σ + 1e-7), σ² the sum of squares over C − 1. */
export function standardizedRow(z: readonly number[]): number[] {
  const mean = z.reduce((a, b) => a + b) / z.length
  const deviation = Math.sqrt(z.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (z.length - 1))
  return z.map((x) => (x - mean) / (deviation + 1e-7))
}

/** β·Σ w·(1 − ρ_row) / Σ w + γ·Σ_c (1 − ρ_c) / C. */
export function distValue(
  student: Matrix,
  teacher: Matrix,
  { temperature: t, beta, gamma }: { temperature: number; beta: number; gamma: number },
  weights: readonly number[],
): number {
  const probabilities = (rows: Matrix): Matrix => rows.map((row) => softmax(row, t))
  const [q, p] = [probabilities(student), probabilities(teacher)]
  const inter = mean(
    student,
    undefined,
    weights,
    (_, r) =>
      1 -
      pearson(
        q[r]!,
        p[r]!,
        q[r]!.map(() => 1),
      ),
  )
  const column = (rows: Matrix, c: number) => rows.map((row) => row[c]!)
  const intra = q[0]!.reduce((sum, _, c) => sum + 1 - pearson(column(q, c), column(p, c), weights), 0) / q[0]!.length
  return beta * inter + gamma * intra
}

/** Pearson's correlation, weighted; 0 where one of the two does not vary. */
function pearson(a: readonly number[], b: readonly number[], weights: readonly number[]): number {
  const total = weights.reduce((sum, w) => sum + w, 0)
  const average = (x: readonly number[]) => x.reduce((sum, value, i) => sum + weights[i]! * value, 0) / total
  const centred = (x: readonly number[]) => x.map((value) => value - average(x))
  const [x, y] = [centred(a), centred(b)]
  const product = (u: number[], v: number[]) => u.reduce((sum, value, i) => sum + weights[i]! * value * v[i]!, 0)
  const norms = Math.sqrt(product(x, x) * product(y, y))
  return norms < 1e-20 ? 0 : product(x, y) / norms
}

/** Central differences of a float64 function of one matrix. */
export function finiteDifferences(value: (student: Matrix) => number, student: Matrix, step: number = 1e-4): number[] {
  return student.flatMap((row, r) =>
    row.map((_, c) => {
      const moved = (by: number) => student.map((z, i) => z.map((x, j) => (i === r && j === c ? x + by : x)))
      return (value(moved(step)) - value(moved(-step))) / (2 * step)
    }),
  )
}

function crossEntropyRow(z: readonly number[], label: number, smoothing: number): number {
  if (label === -1) return 0
  const q = softmax(z, 1)
  return -q.reduce((sum, x, c) => sum + ((c === label ? 1 - smoothing : 0) + smoothing / z.length) * Math.log(x), 0)
}

function mean(
  student: Matrix,
  labels: readonly number[] | undefined,
  weights: readonly number[] | undefined,
  row: (z: readonly number[], row: number, label: number) => number,
): number {
  let sum = 0
  let total = 0
  for (const [r, z] of student.entries()) {
    const label = labels?.[r] ?? -1
    const w = weights?.[r] ?? 1
    if (w === 0 || label === -100) continue
    sum += w * row(z, r, label)
    total += w
  }
  return total === 0 ? 0 : sum / total
}
