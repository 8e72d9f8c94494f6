import type { Effect } from '@imago/papers'
import { escapeText } from './escape.js'
import { type HeatMap, heatMap } from './heat-map.js'
import { type LineChart, lineChart } from './line-chart.js'

/** What a report shows; everything in it is text or numbers, and is escaped here. */
export interface Report {
  readonly title: string
  /** Paragraphs under the title. */
  readonly summary: readonly string[]
  readonly tables: readonly { readonly title: string; readonly rows: readonly (readonly string[])[] }[]
  readonly charts: readonly LineChart[]
  readonly heatMaps?: readonly HeatMap[]
  /** Facts about the run: seed, options, versions. */
  readonly facts: { readonly [name: string]: string }
}

/** Each effect in a sentence. */
export function verdicts(effects: readonly Effect[]): string[] {
  return effects.map(({ name, holds, found }) => `${holds ? 'Holds' : 'Does not hold'}: ${name} (${found}).`)
}

export function effectsTable(effects: readonly Effect[]): Report['tables'][number] {
  const rows = effects.map(({ name, holds, found }) => [name, holds ? 'yes' : 'no', found])
  return { title: 'Effects', rows: [['effect', 'holds', 'found'], ...rows] }
}

/** Settings as facts of the run. */
export function settingsFacts(settings: object): Report['facts'] {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, JSON.stringify(value) ?? '']))
}

const style = `
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --faint: #ddd; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #161616; --faint: #3a3a3a; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 54rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--faint); text-align: right; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1.5rem 0; } figcaption { font-weight: 600; } svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: var(--ink); }
.grid { stroke: var(--faint); } .legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 1rem; }
.swatch { display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem; border-radius: 2px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }`

/** A self-contained HTML page: no script, nothing loaded from anywhere, and a policy that forbids both. */
export function page(report: Report): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${escapeText(report.title)}</title>
<style>${style}
</style>
</head>
<body>
<h1>${escapeText(report.title)}</h1>
${report.summary.map((text) => `<p>${escapeText(text)}</p>`).join('\n')}
${report.tables.map(({ title, rows }) => `<h2>${escapeText(title)}</h2>\n${htmlTable(rows)}`).join('\n')}
${report.charts.length > 0 ? '<h2>Curves</h2>' : ''}
${report.charts.map(lineChart).join('\n')}
${(report.heatMaps ?? []).map(heatMap).join('\n')}
<h2>The run</h2>
<dl>${Object.entries(report.facts)
    .map(([name, value]) => `<dt>${escapeText(name)}</dt><dd>${escapeText(value)}</dd>`)
    .join('')}</dl>
</body>
</html>
`
}

function htmlTable([head = [], ...body]: readonly (readonly string[])[]): string {
  const row = (tag: string, cells: readonly string[]): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeText(cell)}</${tag}>`).join('')}</tr>`
  return `<table><thead>${row('th', head)}</thead><tbody>${body.map((cells) => row('td', cells)).join('')}</tbody></table>`
}
