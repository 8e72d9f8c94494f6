// An ensemble of three nets on a small table, and one tiny net that mimics it on rows that MUNGE makes: Bucilă, Caruana & Niculescu-Mizil 2006.
// The mimic is then asked about a record as a server gets it.
import {
  batches,
  encodeRecords,
  encoderWidth,
  fitEncoder,
  formatEncoder,
  mixedBatches,
  munge,
  parseEncoder,
  readCsv,
  tableDataset,
  unlabelled,
  withoutColumns,
} from '@imago/data'
import { arithmetic, ensemble } from '@imago/ensembles'
import { hardLabel, squaredErrorOnProbabilities } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { adamw } from '@imago/optim'
import { openStudent } from '@imago/runtime'
import { fromPredict, rng } from '@imago/tensor'
import { agreement, distill, predictStudent, train } from '@imago/trainer'

const random = rng(1)
const lines = Array.from({ length: 300 }, () => {
  const [age, hours] = [20 + random.integer(50), 10 + random.integer(50)]
  const job = ['nurse', 'cook', 'pilot'][random.integer(3)]
  const pay = age / 2 + hours + (job === 'pilot' ? 30 : 0) + 8 * random.normal()
  return `${age},${random.integer(20) === 0 ? '?' : hours},${job},${pay > 65 ? 'high' : 'low'}`
})
const table = await readCsv(new TextEncoder().encode(`age,hours,job,pay\n${lines.join('\n')}\n`))
const encoder = fitEncoder(table, { label: 'pay' })
const width = encoderWidth(encoder)
const rows = tableDataset(table, encoder)

const drain = async (reports) => {
  for await (const _ of reports);
}
const students = []
const teach = async (hidden, seed, epochs, fit) => {
  const student = await openStudent(mlp([width, hidden, 2], { rng: rng(seed) }), { threads: 1 })
  students.push(student)
  // biome-ignore lint/suspicious/noFocusedTests: no test, it fits a net
  await drain(fit({ student, epochs, optimizer: adamw({ rate: 0.01 }), rng: rng(seed) }))
  return predictStudent(student)
}
const members = []
for (const seed of [1, 2, 3])
  members.push(
    await teach(32, seed, 20, (pieces) =>
      train({ ...pieces, data: batches(rows, { size: 25, rng: rng(seed) }), loss: hardLabel() }),
    ),
  )
const whole = ensemble(members, arithmetic())

// 3,000 rows like those of the table, which nobody has labelled, and a tenth as many that somebody has.
const made = tableDataset(munge(withoutColumns(table, ['pay']), { rows: 3000, probability: 0.3, rng: rng(4) }), encoder)
const data = mixedBatches(
  [
    { source: made, weight: 10 },
    { source: unlabelled(rows), weight: 1 },
  ],
  { size: 50, rows: 3300, rng: rng(5) },
)
const mimic = await teach(6, 6, 10, (pieces) =>
  distill({ ...pieces, data, targets: fromPredict(whole), loss: squaredErrorOnProbabilities() }),
)
const { agreement: share } = await agreement(mimic, whole, batches(rows, { size: 100, shuffle: false }))
console.log(`the mimic agrees with the ensemble on ${(100 * share).toFixed(1)} % of the rows`)

// encoder.json lies beside the model; a server needs nothing else.
const saved = parseEncoder(formatEncoder(encoder), 'encoder.json')
const { logits } = await mimic({ input: encodeRecords(saved, [{ age: 52, job: 'pilot', hours: null }]) })
console.log(`a pilot of 52: ${saved.label.values[logits.data[0] > logits.data[1] ? 0 : 1]} pay`)
for (const student of students) await student.dispose()
