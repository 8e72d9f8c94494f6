import { softmax, solveEq5 } from '@imago/kernels'
import { tensor } from '@imago/tensor'
import { noise, readNumbers, writeNumbers } from '../harness/numbers.mjs'

/** Eq. 5 of Hinton et al. 2015: one distribution out of a generalist's and five specialists', each of 200 classes. */
export const title = 'eq. 5, five active specialists'

const asked = [{ of: 'imago', than: 'torch descent', atLeast: 50 }]
export const cases = [
  { name: '100 rows × 1,000 classes', rows: 100, classes: 1000, active: 5, size: 200, asked },
  {
    name: '10,000 rows × 1,000 classes',
    rows: 10_000,
    classes: 1000,
    active: 5,
    size: 200,
    without: ['torch descent'],
  },
]

/** Descent on the logits of q, all rows at once in float64, until no row's objective is more than 1e-6 nats above the minimum. */
export const variants = ['descent']
export const comparisons = [{ of: 'imago', than: 'torch descent' }]
export const threads = [1]

export function write(settings, folder) {
  const { rows, classes, active, size } = settings
  const drawn = (seed, columns) =>
    softmax({ logits: tensor('float32', [rows, columns], noise(seed, rows * columns, 2)) }).data
  writeNumbers(folder, 'general', drawn(1, classes))
  const sets = new Int32Array(active * size)
  for (let m = 0; m < active; m++) {
    const order = [...noise(50 + m, classes, 1).entries()].sort(([, a], [, b]) => a - b).map(([c]) => c)
    sets.set(order.slice(0, size), m * size)
    writeNumbers(folder, `own${m}`, drawn(10 + m, size + 1))
  }
  writeNumbers(folder, 'sets', sets)
  const problem = read(settings, folder)
  writeNumbers(folder, 'minimum', objective(problem, solveEq5(problem).q))
}

function read({ rows, classes, active, size }, folder) {
  const sets = readNumbers(folder, 'sets', Int32Array)
  const all = Int32Array.from({ length: rows }, (_, r) => r)
  return {
    general: tensor('float32', [rows, classes], readNumbers(folder, 'general')),
    experts: Array.from({ length: active }, (_, m) => ({
      classes: sets.slice(m * size, (m + 1) * size),
      rows: all,
      probabilities: tensor('float32', [rows, size + 1], readNumbers(folder, `own${m}`)),
    })),
  }
}

/** KL(p^g ‖ q) + Σ_m KL(p^m ‖ q) of each row, in nats. */
function objective({ general, experts }, q) {
  const [rows, C] = general.dims
  return Float64Array.from({ length: rows }, (_, r) => {
    const row = q.data.subarray(r * C, (r + 1) * C)
    let total = 0
    for (const x of row) total += x
    const kl = (p, mass) => (p > 0 ? p * Math.log((p * total) / mass) : 0)
    let sum = 0
    for (let c = 0; c < C; c++) sum += kl(general.data[r * C + c], row[c])
    for (const { classes, probabilities } of experts) {
      const own = probabilities.data.subarray(r * (classes.length + 1), (r + 1) * (classes.length + 1))
      let dustbin = total
      for (const [i, c] of classes.entries()) {
        sum += kl(own[i], row[c])
        dustbin -= row[c]
      }
      sum += kl(own[classes.length], dustbin)
    }
    return sum
  })
}

export function prepare(settings, folder) {
  const problem = read(settings, folder)
  const found = () => objective(problem, solveEq5(problem).q)
  const mean = () => found().reduce((a, b) => a + b, 0) / settings.rows
  return {
    check: () => ({ value: mean(), tensors: { objective: Float32Array.from(found()) } }),
    run(iterations) {
      for (let i = 0; i < iterations; i++) solveEq5(problem)
    },
    outcome: mean,
  }
}
