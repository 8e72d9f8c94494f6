// Counts tests and the check into the closing line; exit 1 unless everything passed.
import { readFileSync } from 'node:fs'

const [report, tested, checked] = process.argv.slice(2)
let passed = 0
let failed = 0
let skipped = 0
try {
  const result = JSON.parse(readFileSync(report, 'utf8'))
  passed = result.numPassedTests
  failed = result.numFailedTests
  skipped = result.numPendingTests
  // A file that does not load has no tests to count and is a failure all the same.
  failed += result.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length
} catch (error) {
  console.log(`no test report: ${error.message}`)
}
if (tested !== '0' && failed === 0) failed = 1
if (checked === '0') passed++
else failed++
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exitCode = failed === 0 && passed > 1 ? 0 : 1
