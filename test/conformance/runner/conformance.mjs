import { caseData } from './case-data.mjs'
import { checkGradient } from './gradient.mjs'
import { roundTrip } from './round-trip.mjs'
import { compareStructure } from './structure.mjs'

const referenced = new Set(['ok', 'zero', 'same_as_base'])

/**
 * Everything that the data can say of imago: `{ roundTrip, structure, gradients }`, one entry a case. `parts` leaves some out,
 * `only` chooses cases, `progress` is called now and then.
 */
export async function conformance(
  { index, file },
  { parts = ['round trip', 'structure', 'gradients'], only = () => true, progress = () => {} } = {},
) {
  const records = new Map(index.cases.map((record) => [record.name, record]))
  const chosen = index.cases.filter((record) => only(record, records.get(record.base) ?? record))
  const result = { roundTrip: [], structure: [], gradients: [] }
  for (const [i, record] of chosen.entries()) {
    const data = caseData(record, file)
    const base = records.get(record.base) ?? record
    const entry = (found) => ({
      name: record.name,
      ops: record.ops,
      core: isCore(record, base),
      runs: record.ort.status === 'pass',
      ...found,
    })
    if (parts.includes('round trip')) result.roundTrip.push(entry(roundTrip(data, record.name)))
    if (parts.includes('structure') && record.ort.status === 'pass')
      result.structure.push(entry(await settled(compareStructure(record, data), 'different')))
    if (parts.includes('gradients') && referenced.has(record.grad.status))
      result.gradients.push(entry(await settled(checkGradient(record, base, data), 'wrong')))
    progress(i + 1, chosen.length)
  }
  return result
}

/** A case whose files cannot be read counts as the worst answer, and the run goes on. */
function settled(promise, worst) {
  return promise.catch((error) => ({ answer: worst, why: String(error) }))
}

/** The core set: its cases with a reference that ONNX Runtime runs, and the expanded twins of these. */
export function isCore(record, base) {
  return (
    base.core && base.ort.status === 'pass' && record.ort.status === 'pass' && ['ok', 'zero'].includes(base.grad.status)
  )
}
