// A student learns from a teacher by the loss of this package: node distil.mjs [teacher.onnx]
import { writeFile } from 'node:fs/promises'
import { batches, digits, unlabelled } from '@imago/data'
import { encode, mlp } from '@imago/onnx'
import { adamw } from '@imago/optim'
import { openStudent, predictor } from '@imago/runtime'
import { fromPredict, rng } from '@imago/tensor'
import { distill } from '@imago/trainer'
import { alphaLoss } from './src/index.js'

const random = rng(1)
const teacher = await predictor(process.argv[2] ?? mlp([784, 64, 10], { rng: random.split('teacher') }))
const student = await openStudent(mlp([784, 32, 10], { rng: random.split('student') }))
const data = batches(unlabelled(digits({ train: 2000, test: 1 }).train), { size: 100, rng: random.split('batches') })

for await (const report of distill({
  targets: fromPredict(teacher),
  student,
  data,
  loss: alphaLoss({ alpha: 0.5, temperature: 2 }),
  optimizer: adamw({ rate: 1e-3 }),
  epochs: 5,
  rng: random.split('masks'),
}))
  if (report.kind === 'epoch') console.log(`epoch ${report.epoch}: loss ${report.loss.toFixed(4)}`)

await writeFile('student.onnx', encode(student.save(student.parameters)))
