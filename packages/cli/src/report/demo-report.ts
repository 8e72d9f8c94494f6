import type { DemoResult } from '@imago/papers'
import type { Report } from './page.js'

/** The comparison that `imago demo` prints. */
export function demoTable({ rows }: DemoResult): string[][] {
  return [
    ['model', 'test errors', 'error rate', 'parameters', 'file', 'latency', 'agrees with teacher'],
    ...rows.map(({ name, errors, rows: of, parameters, bytes, latency, agreement }) => [
      name,
      `${errors} of ${of}`,
      `${((100 * errors) / of).toFixed(2)} %`,
      parameters.toLocaleString('en'),
      `${(bytes / 1000).toFixed(0)} kB`,
      `${latency.toFixed(3)} ms`,
      `${(100 * agreement).toFixed(1)} %`,
    ]),
  ]
}

export function demoReport(result: DemoResult): Report {
  const { ratio, gapClosed, curves, seed, protocol } = result
  const series = (read: (point: DemoResult['curves'][string][number]) => number | undefined) =>
    Object.entries(curves).map(([name, curve]) => ({
      name,
      points: curve.flatMap((point) => {
        const value = read(point)
        return value === undefined ? [] : [[point.epoch, value] as const]
      }),
    }))
  return {
    title: 'imago demo: a teacher, a student on labels, the same student distilled',
    summary: [
      `The small student that learns from labels makes ${ratio.toFixed(2)} times the teacher's errors.`,
      `Trained on the teacher's soft targets instead (T = ${protocol.temperature}), the same student closes ${(100 * gapClosed).toFixed(0)} % of the gap.`,
      'Both students start from the same weights and see the same images in the same order.',
    ],
    tables: [{ title: 'Comparison', rows: demoTable(result) }],
    charts: [
      { title: 'Test errors', x: 'epoch', y: 'errors', series: series(({ errors }) => errors) },
      { title: 'Training loss', x: 'epoch', y: 'loss', series: series(({ loss }) => loss) },
    ],
    facts: { seed: String(seed), protocol: JSON.stringify(protocol) },
  }
}
