import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { drawDigits } from '@imago/data'
import { predictor } from '@imago/runtime'
import { rng, tensor } from '@imago/tensor'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { folder, imago, writeDigits } from './imago.js'

/** A teacher and a student that PyTorch exported (test/golden/pytorch says how): one command, and a student that runs anywhere. */
const golden = fileURLToPath(new URL('../golden/pytorch/', import.meta.url))
const teacherFile = join(golden, 'teacher.onnx')
const studentFile = join(golden, 'student.onnx')
const provenance = JSON.parse(readFileSync(join(golden, 'provenance.json'), 'utf8')) as {
  probe: { teacher: number[][] }
}
const teacherInput = '{"layout":"NCHW"}'
const studentInput = '{"layout":"flat","mean":0.13,"std":0.31}'

describe('models that imago did not write', () => {
  it('a conv net behind a softmax gives the probabilities that PyTorch gave', async () => {
    const { images } = drawDigits({ count: 4, rng: rng(20261120) })
    const input = tensor(
      'float32',
      [4, 784],
      Float32Array.from(images.data, (pixel) => pixel / 255),
    )
    const predict = await predictor(teacherFile, { map: { layout: 'NCHW', dims: [1, 28, 28] } })
    const { logits } = await predict({ input })
    const rows = [0, 1, 2, 3].map((row) =>
      softmax([...(logits!.data as Float32Array).subarray(10 * row, 10 * row + 10)]),
    )
    for (const [row, expected] of provenance.probe.teacher.entries())
      for (const [i, p] of expected.entries()) expect(Math.abs(rows[row]![i]! - p)).toBeLessThan(1e-5)
    expect(predict.notes.join('\n')).toMatch(/Softmax.*logits/)
    await predict.dispose()
  })

  it('imago distill trains the student file, and onnxruntime runs it under its own names', async () => {
    const work = folder()
    writeDigits(join(work, 'digits'))
    const options = [
      '--data',
      'digits',
      '--epochs',
      '20',
      '--batch',
      '20',
      '--temperature',
      '4',
      '--rate',
      '0.003',
      '--threads',
      '1',
      '--quiet',
      '--json',
      '--out',
      'run',
    ]
    const ran = imago(
      [
        'distill',
        '--teacher',
        teacherFile,
        '--student',
        studentFile,
        '--teacher-input',
        teacherInput,
        '--student-input',
        studentInput,
        ...options,
      ],
      work,
    )
    expect(ran.status, ran.stderr).toBe(0)
    const result = JSON.parse(ran.stdout) as { agreement: number; student: { errors: number } }
    const before = imago(['evaluate', studentFile, '--input', studentInput, '--data', 'digits', '--json'], work)
    expect(before.status, before.stderr).toBe(0)
    expect(result.student.errors).toBeLessThan((JSON.parse(before.stdout) as { errors: number }).errors / 2)
    expect(result.agreement).toBeGreaterThan(0.6)

    const session = await InferenceSession.create(join(work, 'run/student.onnx'))
    expect([session.inputNames, session.outputNames]).toEqual([['pixels'], ['scores']])
    const { images, labels } = drawDigits({ count: 200, rng: rng(1).split('t10k') })
    const pixels = Float32Array.from(images.data, (pixel) => (pixel / 255 - 0.13) / 0.31)
    const { scores } = await session.run({ pixels: new Tensor('float32', pixels, [200, 784]) })
    const best = Array.from({ length: 200 }, (_, row) =>
      argmax((scores!.data as Float32Array).subarray(10 * row, 10 * row + 10)),
    )
    expect(best.filter((label, row) => label !== labels.data[row]).length).toBe(result.student.errors)
    await session.release()
  })
})

function softmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits)
  const powers = logits.map((logit) => Math.exp(logit - top))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((power) => power / sum)
}

function argmax(values: Float32Array): number {
  return values.indexOf(Math.max(...values))
}
