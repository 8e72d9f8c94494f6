const count = (list, answer) => list.filter((entry) => entry.answer === answer).length
const reason = (why) =>
  why
    .replace(/"[^"]*"/g, '"…"')
    .replace(/\. Replace the op.*$/s, '')
    .slice(0, 160)

/** The lines of a run, but for the last. */
export function summary({ roundTrip, structure, gradients }, { verbose = false } = {}) {
  const lines = []
  const list = (title, entries) => {
    if (entries.length > 0) lines.push(`${title}:`, ...entries.map(({ name, why }) => `  ${name}: ${why}`))
  }
  list(
    'not the same bytes again',
    roundTrip.filter(({ same }) => !same),
  )
  if (structure.length > 0) {
    lines.push(
      `outputs before and after the passes: ${count(structure, 'same')} of ${structure.length} bit for bit · ` +
        `refused ${count(structure, 'refused')} · different ${count(structure, 'different')} · not run ${count(structure, 'not run')}`,
    )
    list(
      'outputs differ',
      structure.filter(({ answer }) => answer === 'different'),
    )
    if (verbose)
      list(
        'passes refused, or not run',
        structure.filter(({ answer }) => /refused|not run/.test(answer)),
      )
  }
  if (gradients.length === 0) return lines
  const groups = [
    ['all with a reference', gradients],
    ['of these ONNX Runtime runs', gradients.filter(({ runs }) => runs)],
    ['core', gradients.filter(({ core }) => core)],
  ]
  for (const [title, entries] of groups) lines.push(`gradients, ${title}: ${score(entries)}`)
  const bound = gradients.filter(({ answer, bound }) => bound && answer === 'pass')
  lines.push(`  ${bound.length} of the passes need axes, shapes or such as constants, which these cases feed`)
  const refused = gradients.filter(({ answer }) => answer === 'refused')
  if (verbose) list('refused', refused)
  else {
    const reasons = new Map()
    for (const { why } of refused) reasons.set(reason(why), (reasons.get(reason(why)) ?? 0) + 1)
    if (reasons.size > 0) lines.push('refused:')
    for (const [why, times] of [...reasons].sort((p, q) => q[1] - p[1])) lines.push(`  ${times} × ${why}`)
  }
  list(
    'WRONG',
    gradients.filter(({ answer }) => answer === 'wrong'),
  )
  return lines
}

function score(entries) {
  return `${entries.length} · pass ${count(entries, 'pass')} · refused ${count(entries, 'refused')} · wrong ${count(entries, 'wrong')}`
}

/** How many answers are wrong: gradients, outputs behind the passes, models that do not come back the same. */
export function wrong({ roundTrip, structure, gradients }) {
  return count(gradients, 'wrong') + count(structure, 'different') + roundTrip.filter(({ same }) => !same).length
}

/** The last line. */
export function verdict({ roundTrip, gradients }) {
  const same = roundTrip.filter((entry) => entry.same).length
  return (
    `round trip ${same}/${roundTrip.length} · pass ${count(gradients, 'pass')} · ` +
    `refused ${count(gradients, 'refused')} · wrong ${count(gradients, 'wrong')}`
  )
}
