import { batches, dataset } from '@imago/data'
import { logitRegression } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { sgd } from '@imago/optim'
import { openStudent } from '@imago/runtime'
import { rng, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import { distill } from '@imago/trainer'
import { expect, it } from 'vitest'

/**
 * One linear layer on orthonormal inputs (row n is the unit vector n), regression on logits v with Σ_n v_n = 0: the loss falls
 * apart into one quadratic for each weight, and k steps of rate ε from 0 give w = v·(1 − (1 − ε/N)^k), b = 0.
 */
it('gradient descent through ONNX Runtime follows its closed form', async () => {
  const [N, C, rate, epochs] = [8, 5, 0.8, 60]
  const random = rng(4)
  const v = Array.from({ length: N * C }, () => random.normal())
  for (let c = 0; c < C; c++) {
    let mean = 0
    for (let n = 0; n < N; n++) mean += v[n * C + c]! / N
    for (let n = 0; n < N; n++) v[n * C + c]! -= mean
  }
  const eye = Float32Array.from({ length: N * N }, (_, i) => (i % (N + 1) === 0 ? 1 : 0))
  const rows = dataset({ inputs: tensorMap([['input', tensor('float32', [N, N], eye)]]) })
  const student = await openStudent(mlp([N, C], { rng: rng(1), initial: { normal: 0 } }), { threads: 1 })
  const targets = async ({ ids }: { readonly ids: Uint32Array }): Promise<TensorMap> => {
    const chosen = [...ids].flatMap((id) => v.slice(id * C, (id + 1) * C))
    return tensorMap([['logits', tensor('float32', [ids.length, C], Float32Array.from(chosen))]])
  }
  const start = v.reduce((sum, value) => sum + (0.5 * value * value) / N, 0)
  const shrink = 1 - rate / N
  const run = distill({
    student,
    targets,
    data: batches(rows, { size: N, rng: rng(7) }),
    loss: logitRegression(),
    optimizer: sgd({ rate }),
    epochs,
    rng: rng(2),
  })
  for await (const report of run)
    if (report.kind === 'step') expect(report.loss).toBeCloseTo(start * shrink ** (2 * (report.step - 1)), 5)
  const share = 1 - shrink ** epochs
  // The file stores [out, in].
  ;(student.parameters['fc1.weight']!.data as Float32Array).forEach((w, i) => {
    const [c, n] = [Math.floor(i / N), i % N]
    expect(w).toBeCloseTo(share * v[n * C + c]!, 5)
  })
  ;(student.parameters['fc1.bias']!.data as Float32Array).forEach((b) => {
    expect(b).toBeCloseTo(0, 5)
  })
  await student.dispose()
})
