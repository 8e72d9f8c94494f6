import { defaultRules } from '@imago/autodiff'
import { expect, test } from 'vitest'
import { cases, goldenFamilies } from './cases/index.js'
import { goldenKey, goldenRows } from './golden.js'

const differences = Object.values(cases).flat()
const goldens = goldenFamilies.flatMap(goldenRows)

function checks(op: string): string {
  const byDifferences = differences.filter((row) => row.ops.includes(op)).length
  const byGolden = goldens.filter((row) => goldenKey(row) === op).length
  return [
    ...(byDifferences > 0 ? [`${byDifferences} × finite differences in float64`] : []),
    ...(byGolden > 0 ? [`${byGolden} × PyTorch in float64`] : []),
  ].join(', ')
}

function lines(): string[] {
  const entries = Object.entries(defaultRules).sort(([p], [q]) => (p < q ? -1 : 1))
  const rules = entries.filter(([, entry]) => typeof entry === 'function' || 'gradient' in entry)
  return [
    '# Which ops have gradients',
    '',
    '`vjp` answers for every op in one of three ways: it has a rule, nothing flows back on purpose, or it refuses and says',
    'why. An op that is not listed has no rule: where a gradient would have to pass it, `vjp` throws an `UnsupportedError` that',
    'names the node; elsewhere it does not matter. `imago inspect model.onnx --train` says it for each node of a file.',
    '',
    'This page is written by `test/gradcheck/coverage.test.ts`; after a change of the rules run',
    '`npx vitest run --project house test/gradcheck/coverage -u`. What the ONNX backend tests say of these rules is in',
    '[conformance](../results/conformance.md).',
    '',
    `## ${rules.length} ops with a rule`,
    '',
    '| op | rows of the gradcheck |',
    '| --- | --- |',
    ...rules.map(([op]) => `| ${op} | ${checks(op)} |`),
    '',
    '## Nothing flows back, on purpose',
    '',
    '| op | why |',
    '| --- | --- |',
    ...entries.flatMap(([op, entry]) => ('zero' in entry ? [`| ${op} | ${entry.zero} |`] : [])),
    '',
    '## Refused',
    '',
    '| op | why |',
    '| --- | --- |',
    ...entries.flatMap(([op, entry]) => ('refused' in entry ? [`| ${op} | ${entry.refused} |`] : [])),
    '',
  ]
}

test('docs/guides/gradient-coverage.md lists the rules as they are', async () => {
  await expect(lines().join('\n')).toMatchFileSnapshot('../../docs/guides/gradient-coverage.md')
})
