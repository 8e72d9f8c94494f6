import { createHash } from 'node:crypto'
import { claimRunFolder, evaluate, type Json, train } from '../../src/index.js'
import { bits, cloudRun, clouds } from '../problem.js'

/** The process that kill.test.ts kills: trains in a run folder, says each step, and at the end the hash of its weights. */
const folder = process.argv[2]!
const run = await claimRunFolder(folder, { test: 'kill' })
const options = cloudRun({
  epochs: 8,
  checkpoint: { store: run.checkpoints, everySteps: 2 },
  evaluate: (predict) => evaluate({ predict, data: clouds(11) }),
})
for await (const report of train(options)) {
  if (report.kind === 'resume') await run.metrics.rewind(report.step)
  if (report.kind === 'epoch') await run.metrics.append(JSON.parse(JSON.stringify(report)) as { [key: string]: Json })
  process.stdout.write(`${report.kind}\n`)
}
const hash = createHash('sha256')
  .update(JSON.stringify(bits(options.student.parameters)))
  .digest('hex')
await run.write('weights.sha256', hash)
await run.release()
