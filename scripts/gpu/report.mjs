/** The record of `npm run gpu` as markdown. */
export function report(record) {
  const lines = [`# CUDA kernels, ${record.date.slice(0, 10)}, ${record.commit ?? 'no commit'}`, '']
  lines.push(record.card === null ? 'No GPU.' : `Card: ${record.card}. nvcc ${record.nvcc ?? 'none'}.`, '')
  for (const name of ['parity', 'spills', 'sanitizer']) lines.push(`- ${name}: ${told(name, record[name])}`)
  lines.push('')
  if (record.bench.results === undefined) lines.push(`Not timed: ${record.bench.error ?? record.bench.skipped}.`, '')
  else lines.push(...times(record.bench, record.peers), '')
  return lines.join('\n')
}

function told(name, found) {
  if (found.error) return `failed: ${found.error.split('\n')[0]}`
  if (found.skipped) return `skipped: ${found.skipped}`
  if (name === 'sanitizer')
    return Object.entries(found.ran)
      .map(([tool, line]) => `${tool} ${line}`)
      .join('; ')
  const many =
    name === 'parity'
      ? `${found.cases} cases of ${found.kernels.length} kernels on ${found.device}`
      : `${found.kernels} kernels`
  return `${many}, ${found.failures.length} fail`
}

function times(bench, peers) {
  const peersOf = (row) =>
    row.kernel === 'soft_target_loss' ? (peers.results ?? []).filter(({ name, ms }) => name === row.name && ms) : []
  const ratio = (row, variant) => {
    const peer = peersOf(row).find((one) => one.variant === variant)
    return peer ? `${(peer.ms / row.ms).toFixed(2)}×` : ''
  }
  const rows = bench.results.map((row) => {
    const share = row.kernel === 'copy' ? '' : (row.gbps / bench.copy).toFixed(2)
    const cells = [row.kernel, row.name, (row.ms * 1000).toFixed(1), row.gbps.toFixed(0), share]
    return `| ${[...cells, ...['eager', 'compile', 'gv', 'liger'].map((variant) => ratio(row, variant))].join(' | ')} |`
  })
  const why = peers.skipped ?? peers.error
  return [
    'Medians by the device clock. GB/s counts what the kernel has to read and write once; "of copy" is its share of the card\'s own copy.',
    ...(why
      ? [`No peers: ${why}.`]
      : [`PyTorch ${peers.torch}${peers.liger ? '' : `; ${peers.whyNotLiger}`}. Ratios: their time / ours.`]),
    '',
    '| kernel | case | µs | GB/s | of copy | eager | compile | gv | Liger kl_div |',
    '|---|---|---|---|---|---|---|---|---|',
    ...rows,
  ]
}
