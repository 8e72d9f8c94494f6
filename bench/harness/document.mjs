import { asMarkdown, asText, gaps, growthLine, tables, tally } from './report.mjs'

/** Where and when a record was made. */
export function describe({ machine, node, torch, commit, date, busy, kernels }) {
  const lines = [
    `${machine.cpu}${machine.caches ? ` (${machine.caches})` : ''}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.os}`,
    `Node ${node}; ${torch?.torch ? `torch ${torch.torch}, Python ${torch.python}` : `PyTorch: no columns, because ${torch?.reason}`}; commit ${commit}; ${date.slice(0, 16)}Z`,
  ]
  if (kernels) lines.push(describeKernels({ kernels }))
  if (busy > 0.2)
    lines.push(
      `The machine is not quiet (${busy.toFixed(1)} cores busy before it began): times and × move with what else runs, 2 threads most.`,
    )
  return lines.join('\n')
}

export function describeKernels({ kernels: { name, isa, reason } }) {
  const line = `kernels: ${name}${isa ? ` ${isa}` : ''}`
  return reason ? `${line}\nThe addon is not in use: ${reason}. These are not imago's speeds.` : line
}

/** A record as text. */
export function printed(record, { head = true, tally: only = false } = {}) {
  const parts = only || !head ? [] : [describe(record)]
  if (!only) parts.push(...sections(record, asText))
  if (only || head) parts.push(summary(record))
  return parts.join('\n\n')
}

/** A record as a page of docs/results. */
export function markdown(record) {
  return `# Kernels, beside PyTorch and the machine's limit

Written by \`npm run bench -- --markdown\` from one record of [bench/results/history.jsonl](../../bench/results/history.jsonl), where all figures are with their
quantiles; what is timed and how: [bench/README.md](../../bench/README.md).

${describe(record).split('\n').join('  \n')}

${sections(record, asMarkdown).join('\n\n')}

${summary(record)}
`
}

function sections(record, as) {
  const parts = []
  for (const [stem, row] of Object.entries(record.rows)) {
    const results = record.results.filter((result) => result.row === stem)
    if (results.length === 0) continue
    if (row.title && as === asMarkdown) parts.push(`## ${stem}`)
    parts.push(...tables(row, results).map(as), ...gaps(row, results))
    if (record.growth && stem === 'step' && results.some(({ threads }) => threads === 1))
      parts.push(growthLine(record.growth))
  }
  return parts
}

function summary({ results }) {
  const { met, missed, unjudged, asked } = tally(results)
  const value = ({ median, copies, atMost }) => {
    if (copies !== undefined) return copies.toFixed(2)
    return atMost === undefined ? median.toFixed(2) : `${(median * 1000).toFixed(2)} µs`
  }
  const limit = ({ atLeast, atMost, atMostCopies }) => {
    if (atMostCopies !== undefined) return `≤ ${atMostCopies}`
    return atLeast === undefined ? `≤ ${atMost * 1000} µs` : `≥ ${+atLeast.toFixed(2)}`
  }
  return [
    `${met.length} of ${asked.length} that are asked are met`,
    ...missed.map((one) => `- not met: ${one.where}: ${one.name} ${value(one)}, asked ${limit(one)}`),
    ...unjudged.map((one) => `- not judged: ${one.where}: ${one.name}, asked ${limit(one)}`),
  ].join('\n')
}
