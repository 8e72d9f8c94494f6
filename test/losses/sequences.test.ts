import { batches, dataset } from '@imago/data'
import { head, hint, softTarget, weighted } from '@imago/losses'
import { builder, type Model } from '@imago/onnx'
import { sgd } from '@imago/optim'
import { openLoss, openStudent, predictor } from '@imago/runtime'
import { fromPredict, type Rng, rng, tensor, tensorMap } from '@imago/tensor'
import { distill, hiddenTensors } from '@imago/trainer'
import { describe, expect, it } from 'vitest'

const [rows, length, features, tags, topics] = [24, 5, 3, 4, 2]

/** A tagger with two heads: x [N, T, 3] → tags [N, T, 4] at each position, and topics [N, 2] of the first one. */
function tagger(units: number, random: Rng): Model {
  const b = builder()
  const weight = (name: string, inputs: number, outputs: number): string =>
    b.initializer(
      name,
      tensor(
        'float32',
        [inputs, outputs],
        Float32Array.from({ length: inputs * outputs }, () => random.normal() / 2),
      ),
    )
  const x = b.input('x', 'float32', ['N', length, features])
  const hidden = b.op('Tanh', [b.op('MatMul', [x, weight('w', features, units)])], {}, { outputs: ['hidden'] })
  b.op('MatMul', [hidden, weight('tag', units, tags)], {}, { outputs: ['tag_logits'] })
  const first = b.op('Gather', [hidden, b.constant(tensor('int64', [], BigInt64Array.of(0n)))], { axis: 1 })
  b.op('MatMul', [first, weight('topic', units, topics)], {}, { outputs: ['topic_logits'] })
  b.output('topic_logits', 'float32', ['N', topics])
  b.output('tag_logits', 'float32', ['N', length, tags])
  return {
    irVersion: 8,
    opsets: new Map([['', 17]]),
    producer: 'test',
    graph: b.graph(),
    metadata: new Map(),
    functions: [],
  }
}

/** Sequences of 1 … 5 positions; what lies behind their end is `padding`. */
function sequences(padding: number) {
  const random = rng(5)
  const ends = Array.from({ length: rows }, (_, i) => 1 + (i % length))
  const inside = (i: number, width: number): boolean =>
    Math.floor(i / width) % length < ends[Math.floor(i / (length * width))]!
  const x = Float32Array.from({ length: rows * length * features }, (_, i) => {
    const value = random.normal()
    return inside(i, features) ? value : padding
  })
  const mask = BigInt64Array.from({ length: rows * length }, (_, i) => (inside(i, 1) ? 1n : 0n))
  const labels = Int32Array.from({ length: rows * length }, (_, i) => (inside(i, 1) ? i % tags : -100))
  const source = dataset({
    inputs: tensorMap([
      ['x', tensor('float32', [rows, length, features], x)],
      ['mask', tensor('int64', [rows, length], mask)],
      ['tags', tensor('int32', [rows, length], labels)],
    ]),
  })
  return batches(source, { size: 6, rng: rng(6) })
}

async function run(padding: number) {
  const threads = 1
  const also = ['tag_logits', 'hidden']
  const teacher = await predictor(tagger(6, rng(1)), { threads, output: 'topic_logits', also })
  const student = await openStudent(tagger(4, rng(2)), { threads, output: 'topic_logits', also })
  const data = sequences(padding)
  const targets = fromPredict(teacher)
  const seen = await hiddenTensors({ student, targets, data })
  const hinted = await openLoss(
    hint({ student: seen.student('hidden'), teacher: seen.teacher('hidden'), weights: 'mask', rng: rng(3) }),
    { threads },
  )
  const at = { student: 'tag_logits', logits: 'tag_logits', labels: 'tags', weights: 'mask' }
  const loss = weighted({
    tags: [head(softTarget({ temperature: 2, hardWeight: 0.2 }), at), 1],
    topics: [softTarget({ temperature: 2 }), 1],
    hint: [hinted, 1],
  })
  const fromInputs = { mask: 'mask', tags: 'tags' }
  const epochs: { readonly [part: string]: number }[] = []
  const options = { student, targets, data, loss, fromInputs, optimizer: sgd({ rate: 0.1 }), epochs: 12, rng: rng(4) }
  for await (const report of distill(options)) if (report.kind === 'epoch') epochs.push(report.parts)
  const weights = Object.fromEntries(
    Object.entries(student.parameters).map(([name, { data: numbers }]) => [name, [...(numbers as Float32Array)]]),
  )
  await Promise.all([teacher, student, hinted].map((one) => one.dispose()))
  return { epochs, weights }
}

describe('a student of sequences with two heads', () => {
  it('learns both heads and a hidden tensor, and nothing of what lies behind the end of a sequence', async () => {
    const clean = await run(0)
    for (const part of ['tags', 'topics', 'hint'])
      expect(clean.epochs.at(-1)![part]).toBeLessThan(0.9 * clean.epochs[0]![part]!)
    const dirty = await run(1000)
    expect(dirty.weights).toEqual(clean.weights)
    expect(dirty.epochs).toEqual(clean.epochs)
  })

  it('says which inputs the data lack', async () => {
    const teacher = await predictor(tagger(6, rng(1)), { threads: 1, output: 'topic_logits' })
    const student = await openStudent(tagger(4, rng(2)), { threads: 1, output: 'topic_logits' })
    const options = { student, data: sequences(0), targets: fromPredict(teacher), loss: softTarget({ temperature: 1 }) }
    const report = distill({
      ...options,
      fromInputs: { weights: 'msak' },
      optimizer: sgd({ rate: 0.1 }),
      epochs: 1,
      rng: rng(1),
    })
    await expect(report.next()).rejects.toThrow(/"msak".*There is: x, mask, tags/)
    await Promise.all([teacher, student].map((one) => one.dispose()))
  })
})
