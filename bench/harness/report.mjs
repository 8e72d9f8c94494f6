import { nameOf } from './judge.mjs'

/** The tables of a row as plain cells: the times, then the comparisons with what is asked beside them. */
export function tables({ title, contenders, comparisons, measure }, results) {
  if (measure === 'memory') return [memoryTable(title, contenders, results)]
  if (measure === 'store') return [storeTable(title, results)]
  const line = (result, cells) => [result.case, String(result.threads), ...cells]
  const times = {
    title: `${title}: medians (10–90 %)`,
    head: ['case', 'threads', ...contenders],
    lines: results.map((result) =>
      line(
        result,
        contenders.map((name) => time(result.milliseconds[name])),
      ),
    ),
  }
  if (comparisons.length === 0) return [times]
  const columns = comparisons.map(nameOf)
  const share = results.some(({ overhead }) => overhead)
  const peaks = results.some((result) => result.peaks)
  const compared = {
    title: `${title}: ${comparisons.some(({ minus }) => minus) ? 'how much longer it takes' : '× is how many times faster than that'}, median of the rounds`,
    head: [
      'case',
      'threads',
      ...columns,
      ...(share ? ['JS'] : []),
      ...(peaks ? ['session build', 'peak memory', 'of torch default'] : []),
    ],
    lines: results.map((result) => {
      const cells = columns.map((column) => verdict(result.verdicts.find(({ name }) => name === column)))
      if (share) cells.push(`${result.overhead.percent.toFixed(1)} %`)
      if (peaks) cells.push(...peakCells(result))
      return line(result, cells)
    }),
  }
  return [times, compared]
}

function peakCells({ facts, peaks = {} }) {
  const mebibytes = (bytes) => (bytes === undefined ? '–' : `${(bytes / 2 ** 20).toFixed(0)} MiB`)
  return [`${facts.buildMs.toFixed(0)} ms`, mebibytes(peaks.imago), mebibytes(peaks['torch default'])]
}

/** Bytes at the peak, how many logit matrices that is, how long it took. */
function memoryTable(title, contenders, results) {
  const cell = (found) =>
    found
      ? `${gigabytes(found.bytes)} = ${found.copies.toFixed(2)} × (${(found.milliseconds / 1000).toFixed(1)} s)`
      : '–'
  const judged = (verdicts) =>
    verdicts
      .map(
        ({ atMostCopies, met }) => `≤ ${atMostCopies} ×: ${met === undefined ? 'not judged' : met ? 'met' : 'not met'}`,
      )
      .join(', ') || '–'
  return {
    title: `${title}; × the logit matrix (and the time of that one evaluation)`,
    head: ['case', 'logit matrix', 'inputs, gradients', ...contenders, 'asked of imago'],
    lines: results.map((result) => [
      result.case,
      gigabytes(result.matrixBytes),
      gigabytes(result.floorBytes),
      ...contenders.map((name) => cell(result.memory[name])),
      judged(result.verdicts),
    ]),
  }
}

/** Rates of writing, the share of the lower limit, memory, and steps whose targets are read ahead beside steps that have them. */
function storeTable(title, results) {
  const rate = ({ rows, bytes, seconds }, name) =>
    seconds === undefined
      ? '–'
      : `${(rows / seconds[name].median / 1000).toFixed(0)}k rows/s, ${(bytes / seconds[name].median / 1e6).toFixed(0)} MB/s`
  const judgedAs = (result, name, show) => {
    const found = result.verdicts.find((one) => one.name.startsWith(name))
    return found === undefined ? show() : `${show()}${found.met === undefined ? '' : found.met ? ': met' : ': not met'}`
  }
  return {
    title,
    head: [
      'case',
      'bytes a row',
      'plain writes',
      'teacher alone',
      'fillStore',
      'of the lower',
      'processor: teacher → fillStore',
      'peak',
      'its targets, asked for when wanted',
      'step, targets in hand',
      'step, read ahead',
      'waiting for targets',
    ],
    lines: results.map((result) => [
      result.case,
      (result.bytes / result.rows).toFixed(1),
      rate(result, 'plain'),
      rate(result, 'teacher'),
      rate(result, 'teach'),
      result.share ? judgedAs(result, 'of the lower', () => significant(result.share.median)) : '–',
      result.cpu ? `${significant(result.cpu.teacher.median)} → ${significant(result.cpu.teach.median)} s` : '–',
      result.peak ? judgedAs(result, '× below', () => `${(result.peak / 2 ** 20).toFixed(0)} MiB`) : '–',
      time(result.read),
      time(result.step),
      time(result.ahead),
      result.ahead ? judgedAs(result, 'of a step', () => `${(100 * result.waiting).toFixed(1)} %`) : '–',
    ]),
  }
}

function gigabytes(bytes) {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(2)} GB`
}

/** Why columns or cells are empty, one line a reason. */
export function gaps({ left }, results) {
  const reasons = new Map()
  const note = (where, reason) => reasons.set(reason, [...(reasons.get(reason) ?? []), where])
  for (const [name, reason] of Object.entries(left)) note(name, reason)
  for (const result of results)
    for (const [name, reason] of Object.entries(result.left ?? {})) note(`${name} at ${result.case}`, reason)
  return [...reasons].map(([reason, where]) => `${where.join(', ')}: empty, because ${reason}`)
}

/** What is asked and not met, or could not be judged, and how many are met. */
export function tally(results) {
  const asked = results.flatMap((result) =>
    result.verdicts
      .filter(({ atLeast, atMost, atMostCopies }) => (atLeast ?? atMost ?? atMostCopies) !== undefined)
      .map((one) => ({
        ...one,
        where: `${result.row} ${result.case}${result.threads > 1 ? `, ${result.threads} threads` : ''}`,
      })),
  )
  const of = (met) => asked.filter((one) => one.met === met)
  return { met: of(true), missed: of(false), unjudged: of(undefined), asked }
}

export function asText({ title, head, lines }) {
  const widths = head.map((name, i) => Math.max(name.length, ...lines.map((line) => line[i].length)))
  const row = (cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')
  return [title, row(head), ...lines.map(row)].join('\n')
}

export function asMarkdown({ title, head, lines }) {
  const row = (cells) => `| ${cells.join(' | ')} |`
  return [`${title}.`, '', row(head), row(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...lines.map(row)].join('\n')
}

export function growthLine({ case: name, steps, firstMiB, lastMiB, bytesPerStep }) {
  return `memory over ${steps} steps of ${name}: ${firstMiB.toFixed(0)} → ${lastMiB.toFixed(0)} MiB resident, ${bytesPerStep.toFixed(0)} bytes a step in the second half`
}

function time(found) {
  if (found === undefined) return '–'
  const { median, q10, q90 } = found
  const [scale, unit] = Math.abs(median) < 1 ? [1000, 'µs'] : [1, 'ms']
  const digits = (x) => significant(x * scale)
  return `${digits(median)} ${unit} (${digits(q10)}–${digits(q90)})`
}

function verdict(found) {
  if (found === undefined) return '–'
  const { median, atLeast, atMost, met } = found
  const asked = atLeast === undefined ? atMost && `≤ ${+(atMost * 1000).toFixed(2)} µs` : `≥ ${+atLeast.toFixed(2)}`
  if (median === undefined) return `– (${asked}: not judged)`
  const value = atMost === undefined ? significant(median) : plain(median)
  const spread = atMost === undefined ? ` (${significant(found.q10)}–${significant(found.q90)})` : ''
  return asked ? `${value}${spread} ${asked}: ${met ? 'met' : 'not met'}` : value
}

function plain(milliseconds) {
  return Math.abs(milliseconds) < 1 ? `${significant(milliseconds * 1000)} µs` : `${significant(milliseconds)} ms`
}

/** Three digits, without an exponent. */
function significant(x) {
  if (x === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(x))))
  return x.toFixed(Math.min(digits, 3))
}
