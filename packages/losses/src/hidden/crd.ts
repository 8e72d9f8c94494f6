import {
  ArgumentError,
  isType,
  type Rng,
  StateError,
  type Tensor,
  type TensorMap,
  tensor,
  tensorMap,
} from '@imago/tensor'
import { vectors } from './layout.js'
import { linear } from './linear.js'
import type { HiddenPair, HiddenTensor, LossGraph, LossMemory } from './loss-graph.js'
import { hiddenLoss, type Scene } from './scene.js'

export interface CrdOptions extends HiddenPair {
  /** Rows of the data: ids are below it. */
  readonly rows: number
  /** Where weights and memory start, and negatives come from: each step has its own, by its number. */
  readonly rng: Rng
  /** Size of the space in which student and teacher meet; default 128. */
  readonly features?: number
  /** Rows that each row is told from; default 1024 (the authors take 16,384, for which N·negatives·features numbers must fit into memory twice). */
  readonly negatives?: number
  /** τ > 0; default 0.07. */
  readonly temperature?: number
  /** How much of the remembered features stays, in [0, 1); default ½. */
  readonly momentum?: number
}

const eps = 1e-7

/**
 * Contrastive representation distillation (Tian et al. 2020, eq. 17–19, and their code): student and teacher rows become unit vectors by a learned
 * linear map each; both are told by noise-contrastive estimation from vectors of other rows, which are remembered from the last time that they
 * were seen: −Σ over both sides of [ln h + Σ_k ln(1 − h_k)], h = g/(g + K/rows), g = e^(u·v/τ)/Z, Z of the first batch.
 *
 * Parameters: `student.weight` [features, D], `student.bias`, `teacher.weight`, `teacher.bias`. Memory: `student`, `teacher` [rows, features], `z` [2].
 * Reads `ids` of the rows beside the tensors. Parts: `crd`.
 *
 * @throws ArgumentError for tensors that are neither [C] nor [C, H, W], and for options out of range
 */
export function crd(options: CrdOptions): LossGraph {
  const { student, teacher, rows, rng, features = 128, negatives = 1024, temperature = 0.07, momentum = 0.5 } = options
  for (const [name, value] of Object.entries({ rows, features, negatives }))
    if (!(Number.isSafeInteger(value) && value > 0)) throw new ArgumentError('crd', name, 'a whole number ≥ 1', value)
  if (!(temperature > 0 && temperature < 1e30)) throw new ArgumentError('crd', 'temperature', '> 0', temperature)
  if (!(momentum >= 0 && momentum < 1)) throw new ArgumentError('crd', 'momentum', 'in [0, 1)', momentum)
  const { type = 'float32', weights = 'weights' } = options
  const sides = { student: [student], teacher: [teacher] }
  const loss = hiddenLoss('crd', { ...options, ...sides, ranks: [1, 3] }, (scene) => {
    const { op, b } = scene
    const index = b.input('drawn/index', 'int64', ['N', negatives + 1])
    const z = b.input('memory/z', type, [2])
    const own = embedded(scene, 'student', scene.student[0]!, student, features, rng)
    const theirs = embedded(scene, 'teacher', scene.teacher[0]!, teacher, features, rng)
    const scores = (side: string, unit: string): string => {
      const remembered = b.op('Gather', [b.input(`memory/${side}`, type, [rows, features]), index])
      const products = op('MatMul', remembered, scene.reshape(unit, [-1, features, 1]))
      return op('Exp', op('Div', products, temperature))
    }
    const [ofStudent, ofTeacher] = [scores('teacher', own), scores('student', theirs)]
    const mean = (x: string): string => b.op('ReduceMean', [x], { keepdims: 0 })
    b.op(
      'Concat',
      [ofStudent, ofTeacher].map((x) => scene.reshape(mean(x), [1])),
      { axis: 0 },
      { outputs: ['means'] },
    )
    const nats = (x: string, side: number): string => {
      const constant = b.op('Gather', [z, b.ints([side])])
      return estimation(scene, op('Div', x, constant), negatives / rows)
    }
    return { crd: scene.mean(op('Add', nats(ofStudent, 0), nats(ofTeacher, 1))) }
  })
  const outputs = [
    { name: 'embedded/student', type, shape: ['N', features] },
    { name: 'embedded/teacher', type, shape: ['N', features] },
    { name: 'means', type, shape: [2] },
  ]
  return {
    ...loss,
    graph: { ...loss.graph, outputs: [...loss.graph.outputs, ...outputs] },
    memory: contrastMemory({ rows, features, negatives, momentum, weights, rng }),
  }
}

/** Unit vectors [N, features] of a linear map of the rows. */
function embedded(scene: Scene, side: string, x: string, like: HiddenTensor, features: number, rng: Rng): string {
  const { op, sum, b } = scene
  const inputs = like.dims.reduce<number>((product, dim) => product * Number(dim), 1)
  const y = linear(scene, vectors(scene, x, like), side, { inputs, outputs: features }, rng)
  const norm = op('Sqrt', op('Max', sum(op('Mul', y, y), 1), 1e-24))
  return b.op('Div', [y, norm], {}, { outputs: [`embedded/${side}`] })
}

/** −ln h of the first column, −Σ ln(1 − h) of the others: [N, 1 + K, 1] → [N]. */
function estimation(scene: Scene, g: string, noise: number): string {
  const { op, b } = scene
  const whole = op('Log', op('Add', g, noise + eps))
  const first = b.op('Slice', [op('Sub', whole, op('Log', g)), b.ints([0]), b.ints([1]), b.ints([1])])
  const rest = b.op('Slice', [whole, b.ints([1]), b.ints([2 ** 31]), b.ints([1])])
  return op('Add', scene.sum(first, 1), scene.sum(op('Sub', rest, Math.log(noise)), 1))
}

interface MemoryOptions extends Required<Pick<CrdOptions, 'rows' | 'features' | 'negatives' | 'momentum' | 'weights'>> {
  readonly rng: Rng
}

function contrastMemory(options: MemoryOptions): LossMemory {
  const { rows, features, negatives, momentum, weights, rng } = options
  const random = rng.split('memory')
  const limit = Math.sqrt(3 / features)
  const bank = (): Tensor<'float32'> =>
    tensor(
      'float32',
      [rows, features],
      Float32Array.from({ length: rows * features }, () => (2 * random.uniform() - 1) * limit),
    )
  const z = tensor('float32', [2], Float32Array.of(1, 1))
  const tensors = tensorMap([
    ['student', bank()],
    ['teacher', bank()],
    ['z', z],
    ['begun', tensor('float32', [1], new Float32Array(1))],
  ])
  const draws = rng.split('negatives')
  return {
    tensors,
    targets: ['ids'],
    outputs: ['embedded/student', 'embedded/teacher', 'means'],
    draw(targets, at) {
      if (at === undefined)
        throw new StateError(
          'crd draws negatives by the number of the step, and was not told it',
          'Pass { step, … } as the fourth argument',
        )
      const ids = idsOf(targets, rows)
      const from = draws.split(at.step)
      const width = negatives + 1
      const index = BigInt64Array.from({ length: ids.length * width }, (_, i) =>
        BigInt(i % width === 0 ? ids[i / width]! : from.integer(rows)),
      )
      return tensorMap([['index', tensor('int64', [ids.length, width], index)]])
    },
    begin(outputs) {
      const begun = tensors.begun!.data as Float32Array
      if (begun[0] === 1) return false
      const means = outputs.means!.data as Float32Array
      z.data.set([means[0]! * rows, means[1]! * rows])
      begun[0] = 1
      return true
    },
    keep(outputs, targets) {
      const ids = idsOf(targets, rows)
      const counts = targets[weights]?.data as ArrayLike<number> | undefined
      for (const side of ['student', 'teacher']) {
        const memory = tensors[side]!.data as Float32Array
        const seen = outputs[`embedded/${side}`]!.data as Float32Array
        const moved = seen.map((x, i) => {
          const at = ids[Math.floor(i / features)]! * features + (i % features)
          return momentum * memory[at]! + (1 - momentum) * x
        })
        ids.forEach((id, row) => {
          if (counts?.[row] === 0) return
          const unit = moved.subarray(row * features, (row + 1) * features)
          const length = Math.sqrt(unit.reduce((sum, x) => sum + x * x, 0))
          if (length > 0)
            memory.set(
              unit.map((x) => x / length),
              id * features,
            )
        })
      }
    },
  }
}

function idsOf(targets: TensorMap, rows: number): Uint32Array {
  const { ids } = targets
  if (ids === undefined || !isType(ids, 'uint32')) throw new ArgumentError('crd', 'targets.ids', 'uint32 [N]', ids)
  const beyond = ids.data.find((id) => id >= rows)
  if (beyond !== undefined) throw new ArgumentError('crd', 'targets.ids', `rows in [0, ${rows})`, beyond)
  return ids.data
}
