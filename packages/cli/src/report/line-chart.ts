import { escapeText } from './escape.js'
import { scale } from './scale.js'

export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface LineChart {
  readonly title: string
  readonly x: string
  readonly y: string
  readonly series: readonly Series[]
}

/** Colours that stay apart for colour-blind readers (Okabe & Ito). */
export const palette = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'] as const

const size = { width: 640, height: 320, left: 64, right: 16, top: 16, bottom: 44 }
const mostPoints = 600

/** A line chart as SVG. Values that are not finite are left out; long series are thinned evenly. */
export function lineChart(chart: LineChart): string {
  const series = chart.series
    .map(({ name, points }) => ({
      name,
      points: thin(points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y))),
    }))
    .filter(({ points }) => points.length > 0)
  const all = series.flatMap(({ points }) => points)
  if (all.length === 0) return `<figure><figcaption>${escapeText(chart.title)}</figcaption><p>No values.</p></figure>`
  const [xs, ys] = [all.map(([x]) => x), all.map(([, y]) => y)]
  const x = scale(least(xs), most(xs), size.left, size.width - size.right)
  const y = scale(Math.min(0, least(ys)), most(ys), size.height - size.bottom, size.top)
  const lines = series.map(({ points }, i) => {
    const path = points.map(([px, py]) => `${round(x(px))},${round(y(py))}`).join(' ')
    return `<polyline points="${path}" fill="none" stroke="${palette[i % palette.length]}" stroke-width="2"/>`
  })
  const legend = series.map(
    ({ name }, i) =>
      `<li><span class="swatch" style="background:${palette[i % palette.length]}"></span>${escapeText(name)}</li>`,
  )
  return `<figure>
<figcaption>${escapeText(chart.title)}</figcaption>
<svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${escapeText(chart.title)}">
${grid(x.ticks, y.ticks, x, y)}
<text x="${(size.left + size.width - size.right) / 2}" y="${size.height - 6}" text-anchor="middle">${escapeText(chart.x)}</text>
<text transform="translate(14 ${(size.top + size.height - size.bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeText(chart.y)}</text>
${lines.join('\n')}
</svg>
<ul class="legend">${legend.join('')}</ul>
</figure>`
}

function grid(
  xTicks: readonly number[],
  yTicks: readonly number[],
  x: (v: number) => number,
  y: (v: number) => number,
): string {
  const [left, right, bottom] = [size.left, size.width - size.right, size.height - size.bottom]
  return [
    ...yTicks.map((tick) => {
      const at = round(y(tick))
      return `<line class="grid" x1="${left}" x2="${right}" y1="${at}" y2="${at}"/><text x="${left - 6}" y="${at + 4}" text-anchor="end">${tick}</text>`
    }),
    ...xTicks.map((tick) => `<text x="${round(x(tick))}" y="${bottom + 16}" text-anchor="middle">${tick}</text>`),
  ].join('\n')
}

function thin<T>(points: readonly T[]): readonly T[] {
  if (points.length <= mostPoints) return points
  return Array.from({ length: mostPoints }, (_, i) => points[Math.round((i * (points.length - 1)) / (mostPoints - 1))]!)
}

function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
}

function most(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
