/** The rows as a text table: medians with 10–90 % quantiles, and imago's time over PyTorch's. */
export function table(title, results) {
  const torch = [...new Set(results.flatMap((result) => Object.keys(result.ratio)))]
  const head = [
    'case',
    'threads',
    'imago',
    ...torch.flatMap((name) => [name, 'ratio']),
    ...extra(results, 'target', 'target'),
    ...extra(results, 'overhead', 'JS'),
  ]
  const lines = results.map((result) => [
    result.case,
    String(result.threads),
    time(result.milliseconds.imago),
    ...torch.flatMap((name) =>
      result.ratio[name] ? [time(result.milliseconds[name]), spread(result.ratio[name])] : ['–', '–'],
    ),
    ...(result.target === undefined ? [] : [`≤ ${result.target}`]),
    ...(result.overhead === undefined ? [] : [`${result.overhead.percent.toFixed(1)} %`]),
  ])
  const widths = head.map((name, i) => Math.max(name.length, ...lines.map((line) => line[i].length)))
  const line = (cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')
  const left = Object.entries(results[0].left ?? {}).map(
    ([variant, reason]) => `torch ${variant}: no column, because ${reason}`,
  )
  return [title, line(head), ...lines.map(line), ...left].join('\n')
}

export function memoryLine({ case: name, steps, firstMiB, lastMiB, bytesPerStep }) {
  return `memory over ${steps} steps of ${name}: ${firstMiB.toFixed(0)} → ${lastMiB.toFixed(0)} MiB resident, ${bytesPerStep.toFixed(0)} bytes a step in the second half`
}

function extra(results, key, name) {
  return results[0][key] === undefined ? [] : [name]
}

function time({ median, q10, q90 }) {
  const [scale, unit] = median < 1 ? [1000, 'µs'] : [1, 'ms']
  const digits = (x) => (x * scale).toPrecision(3)
  return `${digits(median)} ${unit} (${digits(q10)}–${digits(q90)})`
}

function spread({ median, q10, q90 }) {
  return `${median.toFixed(2)} (${q10.toFixed(2)}–${q90.toFixed(2)})`
}
