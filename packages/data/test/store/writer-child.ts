import { fillStore } from '../../src/index.js'
import { encodings, rows, targets } from './problem.js'

/** The process that other tests kill and starve: fills a store in a folder and says each report. */
const [folder, count, shardRows, encoding] = process.argv.slice(2) as [string, string, string, string]
for await (const report of fillStore({
  folder,
  data: rows(Number(count)),
  targets,
  encoding: encodings[encoding]!,
  teacher: 'teacher 1',
  batch: 16,
  shardRows: Number(shardRows),
  // Each look is 3 seconds later: what is done is made safe at every second batch.
  clock: (
    (now) => () =>
      (now += 3000)
  )(0),
}))
  process.stdout.write(`${report.rows}\n`)
