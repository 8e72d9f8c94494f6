// A teacher asked once, its answers kept as the 3 largest of 10 logits and the weight of the others; a student that learns from them.  Run: node examples/stored-targets.mjs
import { batches, digits, fillStore, fromStore, openStore } from '@imago/data'
import { topKSoftTarget } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { adamw } from '@imago/optim'
import { openStudent, predictor } from '@imago/runtime'
import { fromPredict, rng } from '@imago/tensor'
import { distill } from '@imago/trainer'

const { train } = digits({ seed: 1, train: 1000, test: 1 })
const temperature = 4

const teacher = await predictor(mlp([784, 32, 10], { rng: rng(1) })) // a file of yours
const filling = fillStore({
  folder: 'targets',
  data: train,
  targets: fromPredict(teacher),
  teacher: 'the SHA-256 of its file',
  encoding: { kind: 'top-k', k: 3, temperatures: [1, temperature] },
})
for await (const { rows, of } of filling) console.log(`${rows} of ${of} rows`)
await teacher.dispose()

const store = await openStore('targets', { expect: { teacher: 'the SHA-256 of its file', classes: 10 } })
const student = await openStudent(mlp([784, 16, 10], { rng: rng(2) }))
const run = {
  student,
  data: batches(train, { size: 100, rng: rng(3) }),
  targets: fromStore(store, { temperature }),
  remember: false, // read when they are needed
  loss: topKSoftTarget({ temperature }),
  optimizer: adamw({ rate: 0.003 }),
  epochs: 3,
  rng: rng(4),
}
for await (const report of distill(run))
  if (report.kind === 'epoch') console.log('epoch', report.epoch, 'loss', report.loss)
await Promise.all([store.close(), student.dispose()])
