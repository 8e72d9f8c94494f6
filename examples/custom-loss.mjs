// A loss of one's own: Bucilă's squared error on probabilities (Bucilă, Caruana & Niculescu-Mizil 2006), beside the built-in ones.
import { softmax } from '@imago/kernels'
import { tensor } from '@imago/tensor'

/** Σ_rows ½·‖softmax(z) − softmax(v)‖² / rows; its gradient goes through the softmax: q ∘ (d − Σ d∘q), d = q − p. */
export const squaredProbabilities = {
  needs: { student: ['logits'], targets: ['logits'] },
  evaluate(student, targets) {
    const q = softmax({ logits: student.logits, temperature: 1 })
    const p = softmax({ logits: targets.logits, temperature: 1 })
    const [rows, classes] = q.dims
    const gradient = new Float32Array(rows * classes)
    let value = 0
    for (let row = 0; row < rows; row++) {
      const at = row * classes
      let inner = 0
      for (let c = at; c < at + classes; c++) {
        const d = q.data[c] - p.data[c]
        value += (d * d) / 2
        inner += d * q.data[c]
      }
      for (let c = at; c < at + classes; c++) gradient[c] = (q.data[c] * (q.data[c] - p.data[c] - inner)) / rows
    }
    value /= rows
    return { value, parts: { squared: value }, cotangents: { logits: tensor('float32', [rows, classes], gradient) } }
  },
}

const logits = (values) => tensor('float32', [1, 3], Float32Array.from(values))
const { value, cotangents } = squaredProbabilities.evaluate(
  { logits: logits([0, 0, 0]) },
  { logits: logits([2, 0, -1]) },
)
console.log(value.toFixed(4), Array.from(cotangents.logits.data, (x) => x.toFixed(4)).join(' '))
