import type { KernelOf } from '../signatures.js'

/**
 * q of each row that minimises KL(p^g ‖ q) + Σ_m KL(p^m ‖ q), by expectation maximisation from q = p^g: each model's missing classes are
 * filled in as q has them, and q becomes the mean, q_i ← (p^g_i + Σ_m [i ∈ S_m ? p^m_i : p^m_D·q_i / q(D_m)]) / (1 + A).
 */
export const solveEq5: KernelOf<'solve_eq5'> = (
  [general, setStart, setClasses, activeStart, activeExpert, activeAt, probabilities, out, steps, residual],
  [rows, classes, experts, members, active, , mostSteps],
) => {
  if (!(mostSteps >= 1)) throw new RangeError(`solve_eq5: mostSteps must be in [1, 1e6], got ${mostSteps}`)
  const setOf = (m: number): Int32Array =>
    setClasses.subarray(setStart[m]!, m + 1 < experts ? setStart[m + 1]! : members)
  for (let m = 0; m < experts; m++) checkSet(setOf(m), m, classes)
  for (let r = 0; r < rows; r++) {
    const general_ = distribution(general.subarray(r * classes, (r + 1) * classes), 'general', r)
    const p = general_.map((mass) => Math.max(mass, 1e-38))
    const end = r + 1 < rows ? activeStart[r + 1]! : active
    const known = Array.from(activeExpert.subarray(activeStart[r]!, end), (m, a) => {
      const set = setOf(m)
      const at = activeAt[activeStart[r]! + a]!
      return { set, own: distribution(probabilities.subarray(at, at + set.length + 1), 'probabilities', r) }
    })
    const q = fixedPoint(p, known)
    out.set(q, r * classes)
    steps[r] = known.length
    residual[r] = 0
  }
}

interface Expert {
  readonly set: Int32Array
  readonly own: Float64Array
}

function fixedPoint(p: Float64Array, experts: readonly Expert[]): Float64Array {
  let q = p
  for (let step = 0; step < 1e6; step++) {
    const next = p.slice()
    for (const { set, own } of experts) {
      const isKnown = new Uint8Array(p.length)
      set.forEach((c, i) => {
        isKnown[c] = 1
        next[c]! += own[i]!
      })
      const dustbin = q.reduce((sum, mass, c) => sum + (isKnown[c] ? 0 : mass), 0)
      for (let c = 0; c < p.length; c++) if (!isKnown[c]) next[c]! += (own[set.length]! * q[c]!) / dustbin
    }
    const total = next.reduce((sum, mass) => sum + mass, 0)
    let change = 0
    for (let c = 0; c < p.length; c++) {
      next[c]! /= total
      change = Math.max(change, Math.abs(next[c]! - q[c]!) / next[c]!)
    }
    q = next
    if (change < 1e-13) break
  }
  return q
}

function distribution(given: Float32Array, name: string, row: number): Float64Array {
  const wrong = given.find((x) => !(x >= 0 && x < Number.POSITIVE_INFINITY))
  if (wrong !== undefined) throw new Error(`${name}: ${wrong} in row ${row}`)
  const sum = given.reduce((total, x) => total + x, 0)
  if (!(Math.abs(sum - 1) <= 1e-3)) throw new Error(`${name}: ${sum} as the sum in row ${row}`)
  return Float64Array.from(given, (x) => x / sum)
}

function checkSet(set: Int32Array, m: number, classes: number): void {
  const problem =
    set.length === 0
      ? `expert ${m} has no class`
      : set.length >= classes
        ? `expert ${m} has every class, which leaves none for its dustbin`
        : new Set(set).size < set.length
          ? `expert ${m} has class ${set.find((c, i) => set.indexOf(c) !== i)} twice`
          : null
  if (problem !== null) throw new Error(`setClasses: ${problem}`)
}
