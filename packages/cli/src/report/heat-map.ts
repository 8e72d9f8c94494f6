import { escapeText } from './escape.js'
import { png } from './png.js'

/** A square matrix as a picture. */
export interface HeatMap {
  readonly title: string
  /** What is to be seen in it. */
  readonly text: string
  /** `[size, size]`, in the order in which it is shown. */
  readonly values: Float64Array
  readonly size: number
  /** Where blocks end, in rows from the top. */
  readonly borders: readonly number[]
}

/** At most so many pixels a side: what is larger is shown as means of neighbours. */
const mostPixels = 800
/** Colours on either side of zero. */
const shades = 127

/** Blue below zero, white at zero, red above (Okabe & Ito's blue and vermilion). */
const palette = Array.from({ length: 2 * shades + 1 }, (_, i): [number, number, number] => {
  const depth = Math.abs(i - shades) / shades
  const [r, g, b] = i < shades ? [0, 114, 178] : [213, 94, 0]
  return [r!, g!, b!].map((part) => Math.round(255 + depth * (part - 255))) as [number, number, number]
})

/** A heat map as SVG around a PNG. Colours end at the 99th percentile of the magnitudes off the diagonal, which variances would drown. */
export function heatMap(map: HeatMap): string {
  const { pixels, side } = shrunk(map)
  const limit = limitOf(map)
  const index = Uint8Array.from(pixels, (value) =>
    Number.isFinite(value) && limit > 0
      ? Math.round(shades + shades * Math.max(-1, Math.min(1, value / limit)))
      : shades,
  )
  const picture = png(side, side, index, palette).toString('base64')
  const lines = map.borders.flatMap((border) => {
    const at = ((border / map.size) * 600).toFixed(1)
    return [
      `<line class="grid" x1="${at}" x2="${at}" y1="0" y2="600"/>`,
      `<line class="grid" x1="0" x2="600" y1="${at}" y2="${at}"/>`,
    ]
  })
  return `<figure>
<figcaption>${escapeText(map.title)}</figcaption>
<svg viewBox="0 0 600 600" role="img" aria-label="${escapeText(map.title)}">
<image href="data:image/png;base64,${picture}" width="600" height="600" style="image-rendering:pixelated"/>
${lines.join('\n')}
</svg>
<p>${escapeText(`${map.text} White is 0, the darkest red ${limit.toPrecision(2)} and more, the darkest blue −${limit.toPrecision(2)} and less.`)}</p>
</figure>`
}

function shrunk({ values, size }: HeatMap): { pixels: Float64Array; side: number } {
  const block = Math.ceil(size / mostPixels)
  if (block === 1) return { pixels: values, side: size }
  const side = Math.ceil(size / block)
  const pixels = new Float64Array(side * side)
  const counts = new Float64Array(side * side)
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) {
      const at = Math.floor(i / block) * side + Math.floor(j / block)
      pixels[at]! += values[i * size + j]!
      counts[at]! += 1
    }
  return { pixels: pixels.map((sum, i) => sum / counts[i]!), side }
}

function limitOf({ values, size }: HeatMap): number {
  const magnitudes = values.map(Math.abs).filter((_, i) => Math.floor(i / size) < i % size)
  magnitudes.sort()
  return magnitudes[Math.floor(0.99 * (magnitudes.length - 1))] ?? 0
}
