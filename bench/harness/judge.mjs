import { difference, speedup, summary } from './statistics.mjs'

/**
 * What a row compares, case by case: `{ of, than }` is how many times faster `of` is than `than`, `{ of, minus }` how many
 * milliseconds longer `of` takes. A name stands for every contender that begins with it, the fastest counts: 'torch' is the
 * best of PyTorch's. `settings.asked` has what is asked of some: `atLeast` times, `atMost` milliseconds.
 */
export function judge(row, settings, times) {
  return row.comparisons.flatMap((comparison) => {
    const other = comparison.than ?? comparison.minus
    const rival = fastest(times, other)
    const ours = times[comparison.of]
    const asked = settings.asked?.find((one) => nameOf(one) === nameOf(comparison))
    const limits = asked && { atLeast: asked.atLeast, atMost: asked.atMost }
    if (ours === undefined || rival === undefined) return asked ? [{ name: nameOf(comparison), ...limits }] : []
    const found = comparison.than ? speedup(ours, times[rival]) : difference(ours, times[rival])
    const verdict = { name: nameOf(comparison), ...(rival !== other && { rival }), ...found }
    if (!asked) return [verdict]
    const met = asked.atLeast === undefined ? found.median <= asked.atMost : found.median >= asked.atLeast
    return [{ ...verdict, ...limits, met }]
  })
}

/** The name of a comparison's column. */
export function nameOf({ of, than, minus }) {
  if (minus !== undefined) return `${of} − ${minus}`
  const rival = than === 'torch' ? 'best torch' : than
  return of === 'imago' ? `× ${rival}` : `${of} × ${rival}`
}

function fastest(times, name) {
  const names = Object.keys(times).filter((one) => one === name || one.startsWith(`${name} `))
  const by = (one) => summary(times[one]).median
  return names.sort((a, b) => by(a) - by(b))[0]
}
