import { topK } from '@imago/kernels'
import { type TensorMap, tensor, tensorMap } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  dist,
  dkd,
  hardLabel,
  jsd,
  type Loss,
  logitRegression,
  logitStandardization,
  nkd,
  reverseKl,
  softTarget,
  squaredErrorOnProbabilities,
  topKSoftTarget,
  totalVariation,
  virtualTeacher,
} from '../src/index.js'
import {
  batches,
  type Drawn,
  matrix,
  numbers,
  outputs,
  roughBatches,
  single,
  targets,
  temperatures,
} from './batches.js'
import {
  crossEntropyValue,
  distValue,
  dkdValue,
  finiteDifferences,
  jsdValue,
  type Matrix,
  nkdValue,
  regressionValue,
  reverseKlValue,
  softmax,
  softTargetValue,
  squaredProbabilityValue,
  standardizedRow,
  topKSoftTargetValue,
  totalVariationValue,
  virtualTeacherValue,
} from './oracle.js'

/** Value and gradient are float32 work over float32 inputs; T² and the spread of the logits set the scale. */
const tolerance = { value: 2e-5, gradient: 2e-5 }

interface Row {
  readonly loss: Loss
  /** The float64 formula. */
  readonly oracle: (batch: Drawn) => (student: Matrix) => number
  readonly scale: number
  /** Batches on which finite differences say something; all unless given. */
  readonly smooth?: { readonly batches: fc.Arbitrary<Drawn>; readonly where: (batch: Drawn) => boolean }
  /** The targets as this loss reads them; those with the teacher's logits unless given. */
  readonly targets?: (batch: Drawn) => TensorMap
  /** True where rows are compared with each other: a batch is then not the mean of its rows. */
  readonly relates?: true
}

/** Total variation has a kink where p = q; its differences are taken a step of 1e-4 away from there. */
const apart = (t: number) => (batch: Drawn) =>
  batch.student.every((z, r) => {
    const p = softmax(batch.teacher[r]!, t)
    return softmax(z, t).every((q, c) => Math.abs(q - p[c]!) > 1e-4)
  })

/** Correlations of what hardly varies change within a step. */
const varied = (t: number) => (batch: Drawn) => {
  const spread = (x: readonly number[]) => Math.max(...x) / Math.min(...x) > 1.1
  return [batch.student, batch.teacher].every((logits) => {
    const rows = logits.map((row) => softmax(row, t))
    return rows.every(spread) && rows[0]!.every((_, c) => spread(rows.map((row) => row[c]!)))
  })
}

/** What a store of k classes gives: the largest logits in any order, and the tail at the temperature. */
const topKTargets =
  (k: number, temperature: number) =>
  (batch: Drawn): TensorMap => {
    const { logits, ...rest } = targets(batch)
    const classes = logits!.dims[1]!
    const { indices, values, logTail } = topK({ logits: logits!, k: Math.min(k, classes), temperature })
    const tail = tensor('float64', logTail.dims, logTail.data)
    return tensorMap([
      ...Object.entries(rest),
      ['indices', indices],
      ['values', values],
      [`logTail@${temperature}`, tail],
    ])
  }

const table: { readonly [name: string]: Row } = {
  ...Object.fromEntries(
    [0.5, 1, 4, 20].flatMap((temperature) =>
      [0, 0.3, 1].map((hardWeight) => [
        `softTarget T=${temperature} a=${hardWeight}`,
        {
          loss: softTarget({ temperature, hardWeight }),
          oracle:
            ({ teacher, labels, weights }: Drawn) =>
            (student: Matrix) =>
              softTargetValue(student, teacher, { temperature, hardWeight, labels, weights }),
          scale: Math.max(1, temperature),
        },
      ]),
    ),
  ),
  ...Object.fromEntries(
    [0.5, 1, 4, 20].flatMap((temperature) =>
      [0, 0.3].map((hardWeight): [string, Row] => [
        `topKSoftTarget T=${temperature} a=${hardWeight}`,
        {
          loss: topKSoftTarget({ temperature, hardWeight }),
          oracle:
            ({ teacher, labels, weights }) =>
            (student) =>
              topKSoftTargetValue(student, teacher, 3, { temperature, hardWeight, labels, weights }),
          targets: topKTargets(3, temperature),
          // Which of equal classes are kept is decided by their places.
          smooth: { batches: roughBatches, where: () => true },
          scale: Math.max(1, temperature),
        },
      ]),
    ),
  ),
  ...Object.fromEntries(
    [0, 0.1, 0.5].map((smoothing) => [
      `hardLabel ε=${smoothing}`,
      {
        loss: hardLabel({ smoothing }),
        oracle:
          ({ labels, weights }: Drawn) =>
          (student: Matrix) =>
            crossEntropyValue(student, labels, smoothing, weights),
        scale: 1,
      },
    ]),
  ),
  ...Object.fromEntries(
    [false, true].map((zeroMean) => [
      `logitRegression zeroMean=${zeroMean}`,
      {
        loss: logitRegression({ zeroMean }),
        oracle:
          ({ teacher, weights }: Drawn) =>
          (student: Matrix) =>
            regressionValue(student, teacher, zeroMean, weights),
        scale: 8,
      },
    ]),
  ),
  ...Object.fromEntries(
    [0.5, 1, 4, 20].flatMap((temperature): [string, Row][] => [
      [
        `reverseKl T=${temperature}`,
        {
          loss: reverseKl({ temperature }),
          oracle: (batch) => (student) => reverseKlValue(student, batch.teacher, temperature, batch.weights),
          scale: Math.max(1, temperature) * 4,
        },
      ],
      [
        `jsd T=${temperature} β=${temperature === 4 ? 0.1 : 0.5}`,
        {
          loss: jsd({ temperature, ...(temperature === 4 && { beta: 0.1 }) }),
          oracle: (batch) => (student) =>
            jsdValue(student, batch.teacher, { temperature, beta: temperature === 4 ? 0.1 : 0.5 }, batch.weights),
          scale: Math.max(1, temperature),
        },
      ],
      [
        `squaredErrorOnProbabilities T=${temperature}`,
        {
          loss: squaredErrorOnProbabilities({ temperature }),
          oracle: (batch) => (student) => squaredProbabilityValue(student, batch.teacher, temperature, batch.weights),
          scale: Math.max(1, 1 / temperature),
        },
      ],
      [
        `totalVariation T=${temperature}`,
        {
          loss: totalVariation({ temperature }),
          oracle: (batch) => (student) => totalVariationValue(student, batch.teacher, temperature, batch.weights),
          scale: 1,
          smooth: { batches: roughBatches, where: apart(temperature) },
        },
      ],
      [
        `dkd T=${temperature}`,
        {
          loss: dkd({ temperature, beta: 2 }),
          oracle:
            ({ teacher, labels, weights }) =>
            (student) =>
              dkdValue(student, teacher, labels, { temperature, alpha: 1, beta: 2 }, weights),
          scale: Math.max(1, temperature) * 3,
        },
      ],
      [
        `virtualTeacher T=${temperature}`,
        {
          loss: virtualTeacher({ temperature, softWeight: 0.3, correct: 0.9 }),
          oracle:
            ({ labels, weights }) =>
            (student) =>
              virtualTeacherValue(student, labels, { temperature, softWeight: 0.3, correct: 0.9 }, weights),
          scale: Math.max(1, temperature) * 2,
        },
      ],
      [
        `nkd T=${temperature}`,
        {
          loss: nkd({ temperature, gamma: 2 }),
          oracle:
            ({ teacher, labels, weights }) =>
            (student) =>
              nkdValue(student, teacher, labels, { temperature, gamma: 2 }, weights),
          scale: Math.max(1, temperature) * 3,
        },
      ],
      [
        `soft targets of standardized logits T=${temperature}`,
        {
          loss: logitStandardization(softTarget({ temperature })),
          oracle:
            ({ teacher, labels, weights }) =>
            (student) =>
              softTargetValue(student.map(standardizedRow), teacher.map(standardizedRow), {
                temperature,
                labels,
                weights,
              }),
          scale: Math.max(1, temperature) * 4,
          // Rows whose logits are all alike have no direction.
          smooth: { batches: roughBatches, where: () => true },
        },
      ],
      [
        `dist T=${temperature}`,
        {
          loss: dist({ temperature, beta: 2 }),
          oracle: (batch) => (student) =>
            distValue(student, batch.teacher, { temperature, beta: 2, gamma: 1 }, batch.weights),
          scale: 2,
          smooth: { batches: roughBatches, where: varied(temperature) },
          relates: true,
        },
      ],
    ]),
  ),
}

describe.each(Object.keys(table))('%s', (name) => {
  const { loss, oracle, scale, smooth, relates, targets: read = targets } = table[name]!

  test('value and gradient are those of the formula in float64', () => {
    fc.assert(
      fc.property(smooth?.batches ?? batches, (batch) => {
        fc.pre(smooth?.where(batch) ?? true)
        const value = oracle(batch)
        const result = loss.evaluate(outputs(batch.student), read(batch))
        const want = value(batch.student)
        expect(Math.abs(result.value - want)).toBeLessThanOrEqual(tolerance.value * scale * Math.max(1, want))
        const slope = finiteDifferences(value, batch.student)
        const got = numbers(result.cotangents.logits)
        for (const [i, s] of slope.entries())
          expect(Math.abs(got[i]! - s), `gradient[${i}]`).toBeLessThanOrEqual(tolerance.gradient * scale)
      }),
      { numRuns: 60 },
    )
  })

  test.skipIf(relates)('a batch is the weighted mean of its rows', () => {
    fc.assert(
      fc.property(batches, (batch) => {
        const whole = loss.evaluate(outputs(batch.student), read(batch)).value
        let sum = 0
        let total = 0
        for (const [r, w] of batch.weights.entries()) {
          // Only losses that read labels leave rows out by their label.
          if (loss.needs.targets.includes('labels') || /^(soft|topKSoft)/.test(name))
            if (batch.labels[r] === -100) continue
          if (w === 0) continue
          const alone = { ...single(batch, r), weights: [1] }
          sum += w * loss.evaluate(outputs(alone.student), read(alone)).value
          total += w
        }
        const want = total === 0 ? 0 : sum / total
        expect(Math.abs(whole - want)).toBeLessThanOrEqual(1e-5 * scale * Math.max(1, want))
      }),
      { numRuns: 60 },
    )
  })

  test('classes that change places take their gradients along', () => {
    fc.assert(
      fc.property(smooth?.batches ?? batches, (batch) => {
        fc.pre(smooth?.where(batch) ?? true)
        const classes = batch.student[0]!.length
        const turn = (rows: Matrix) => rows.map((row) => row.map((_, c) => row[(c + 1) % classes]!))
        const turned = {
          ...batch,
          student: turn(batch.student),
          teacher: turn(batch.teacher),
          labels: batch.labels.map((y) => (y < 0 ? y : (y + classes - 1) % classes)),
        }
        const plain = loss.evaluate(outputs(batch.student), read(batch))
        const kept = numbers(plain.cotangents.logits)
        const moved = loss.evaluate(outputs(turned.student), read(turned))
        const got = numbers(moved.cotangents.logits)
        expect(Math.abs(moved.value - plain.value)).toBeLessThanOrEqual(1e-5 * scale * Math.max(1, plain.value))
        for (const [i, x] of got.entries()) {
          const from = i - (i % classes) + (((i % classes) + 1) % classes)
          expect(Math.abs(x - kept[from]!)).toBeLessThanOrEqual(1e-5 * scale)
        }
      }),
      { numRuns: 40 },
    )
  })

  test('says what it needs, and reads no more', () => {
    const batch: Drawn = { student: [[1, 2, 3]], teacher: [[3, 1, 2]], labels: [1], weights: [1] }
    const all = read(batch)
    const needed = tensorMap(loss.needs.targets.map((target) => [target, all[target]!]))
    const full = loss.evaluate(outputs(batch.student), all)
    expect(loss.evaluate(outputs(batch.student), needed).value).toBe(full.value)
    expect(Object.keys(full.cotangents)).toEqual(loss.needs.student)
    for (const target of loss.needs.targets) {
      const { [target]: _, ...fewer } = needed
      expect(() => loss.evaluate(outputs(batch.student), fewer)).toThrow(
        expect.objectContaining({ code: 'ERR_NOT_FOUND', message: expect.stringContaining(`"${target}"`) }),
      )
    }
    expect(() => loss.evaluate({ out: all.logits! }, all)).toThrow(/no student output "logits".*There are: out/)
  })

  test('uses the memory of its gradient again, also for a smaller batch', () => {
    const batch: Drawn = {
      student: [
        [1, 2],
        [0, 1],
        [3, 1],
      ],
      teacher: [
        [3, 1],
        [0, 0],
        [1, 1],
      ],
      labels: [1, 0, 1],
      weights: [1, 2, 1],
    }
    const first = loss.evaluate(outputs(batch.student), read(batch)).cotangents.logits!
    expect(loss.evaluate(outputs(batch.student), read(batch)).cotangents.logits!.data).toBe(first.data)
    const last = single(batch, 1)
    const smaller = loss.evaluate(outputs(last.student), read(last)).cotangents.logits!
    expect(smaller.dims).toEqual([1, 2])
    expect((smaller.data as Float32Array).buffer).toBe((first.data as Float32Array).buffer)
    expect(loss.evaluate(outputs(batch.student), read(batch)).cotangents.logits!.dims).toEqual([3, 2])
  })
})

describe('the convention', () => {
  const centred = (rows: Matrix): number[][] =>
    rows.map((row) => {
      const mean = row.reduce((a, b) => a + b) / row.length
      return row.map((x) => Math.fround(x - mean))
    })

  test('as T → ∞ soft targets become logit regression / C (Hinton et al. 2015, eq. 4), within 2·max|z, v|/T', () => {
    fc.assert(
      fc.property(batches, fc.constantFrom(1e3, 1e4), (drawn, temperature) => {
        const batch = { ...drawn, student: centred(drawn.student), teacher: centred(drawn.teacher) }
        const { logits, weights } = targets(batch)
        const read = { logits: logits!, weights: weights! }
        const soft = softTarget({ temperature }).evaluate(outputs(batch.student), read)
        const regression = logitRegression().evaluate(outputs(batch.student), read)
        const classes = batch.student[0]!.length
        const largest = Math.max(...batch.student.flat().map(Math.abs), ...batch.teacher.flat().map(Math.abs))
        const want = numbers(regression.cotangents.logits)
        const bound = (2 * largest) / temperature + 1e-5
        for (const [i, x] of numbers(soft.cotangents.logits).entries())
          expect(Math.abs(x - want[i]! / classes)).toBeLessThanOrEqual(bound)
      }),
    )
  })

  test('a student that is its teacher has no loss and no gradient', () => {
    fc.assert(
      fc.property(batches, temperatures, ({ teacher }, temperature) => {
        const result = softTarget({ temperature }).evaluate(outputs(teacher), { logits: matrix(teacher) })
        expect(Math.abs(result.value)).toBeLessThanOrEqual(1e-6 * temperature * temperature)
        for (const x of numbers(result.cotangents.logits)) expect(Math.abs(x)).toBeLessThanOrEqual(1e-6 * temperature)
      }),
    )
  })

  test('the gradient of a row sums to 0', () => {
    fc.assert(
      fc.property(batches, temperatures, (batch, temperature) => {
        const classes = batch.student[0]!.length
        const loss = softTarget({ temperature, hardWeight: 0.5 })
        const got = numbers(loss.evaluate(outputs(batch.student), targets(batch)).cotangents.logits)
        for (let r = 0; r < batch.student.length; r++) {
          const sum = got.slice(r * classes, (r + 1) * classes).reduce((a, b) => a + b)
          expect(Math.abs(sum)).toBeLessThanOrEqual(3e-6 * temperature)
        }
      }),
    )
  })

  test('all rows left out: loss 0 and gradient 0', () => {
    const batch: Drawn = { student: [[1, 5]], teacher: [[Number.NaN, 1]], labels: [-100], weights: [1] }
    const result = softTarget({ temperature: 4, hardWeight: 0.5 }).evaluate(outputs(batch.student), targets(batch))
    expect(result.value).toBe(0)
    expect(numbers(result.cotangents.logits)).toEqual([0, 0])
  })

  test('a teacher without mass on a class (−∞) leaves everything finite', () => {
    const batch: Drawn = {
      student: [[1, 5, 2]],
      teacher: [[Number.NEGATIVE_INFINITY, 1, 0]],
      labels: [1],
      weights: [1],
    }
    const result = softTarget({ temperature: 4, hardWeight: 0.5 }).evaluate(outputs(batch.student), targets(batch))
    expect(Number.isFinite(result.value)).toBe(true)
    expect(numbers(result.cotangents.logits).every(Number.isFinite)).toBe(true)
  })
})
