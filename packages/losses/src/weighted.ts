import { ArgumentError, isType, ShapeError, StateError, type Tensor, type TensorMap, tensorMap } from '@imago/tensor'
import { gradientBuffer } from './gradient-buffer.js'
import type { AnyLoss, DeferredLoss, Loss, LossProgress, LossResult } from './loss.js'

/** A weight ≥ 0, or one that changes over time: a schedule of @imago/optim. */
export type Weight = number | ((at: LossProgress) => number)

/**
 * The sum Σ weight·loss, by name. Parts: each loss by its name, unweighted; where a loss has several parts of its own, these too
 * as `name.part`. Parameters of a loss are called `name/parameter`. A loss of weight 0 is evaluated and reported, not added.
 *
 * With a loss that is a graph (`openLoss` of @imago/runtime) among them the sum comes as a promise.
 *
 * Where soft targets and labels meet at the same logits, `softTarget({ hardWeight })` is the same sum in one pass.
 *
 * @example weighted({ soft: [softTarget({ temperature: 20 }), 0.9], hard: [hardLabel(), 0.1] })
 */
export function weighted(terms: { readonly [name: string]: readonly [loss: Loss, weight: Weight] }): Loss
export function weighted(terms: { readonly [name: string]: readonly [loss: AnyLoss, weight: Weight] }): DeferredLoss
export function weighted(terms: { readonly [name: string]: readonly [loss: AnyLoss, weight: Weight] }): AnyLoss {
  const names = Object.keys(terms)
  if (names.length === 0) throw new ArgumentError('weighted', 'terms', 'at least one { name: [loss, weight] }', '{}')
  for (const name of names) if (typeof terms[name]![1] === 'number') checkWeight(name, terms[name]![1] as number)
  // An output may be called as a parameter is: each has sums of its own.
  const outputSums: Buffers = new Map()
  const parameterSums: Buffers = new Map()
  const together = (which: 'parameters' | 'memory'): TensorMap =>
    tensorMap(
      names.flatMap((name) =>
        Object.entries(terms[name]![0][which] ?? {}).map(([key, p]) => [`${name}/${key}`, p] as const),
      ),
    )
  const parameters = together('parameters')
  const memory = together('memory')
  const union = (lists: (readonly string[])[]): string[] => [...new Set(lists.flat())]

  const sumOf = (results: readonly LossResult[], at: LossProgress | undefined): LossResult => {
    let value = 0
    const parts: { [name: string]: number } = Object.create(null)
    const cotangents = tensorMap()
    const gradients = tensorMap()
    names.forEach((name, i) => {
      const weight = terms[name]![1]
      const factor = typeof weight === 'number' ? weight : scheduled(name, weight, at)
      const result = results[i]!
      report(parts, name, result)
      // A term with the factor 0 is not there: 0·∞ would be NaN.
      if (factor > 0) value += factor * result.value
      accumulate(cotangents, '', factor, result.cotangents, outputSums)
      accumulate(gradients, `${name}/`, factor, result.gradients ?? {}, parameterSums)
    })
    const keeps = results.flatMap(({ keep }) => keep ?? [])
    return {
      value,
      parts,
      cotangents,
      ...(Object.keys(gradients).length > 0 && { gradients }),
      ...(keeps.length > 0 && {
        keep() {
          for (const keep of keeps) keep()
        },
      }),
    }
  }

  return {
    needs: {
      student: union(names.map((name) => terms[name]![0].needs.student)),
      targets: union(names.map((name) => terms[name]![0].needs.targets)),
    },
    ...(Object.keys(parameters).length > 0 && { parameters }),
    ...(Object.keys(memory).length > 0 && { memory }),
    evaluate(student: TensorMap, targets: TensorMap, given: TensorMap = parameters, at?: LossProgress) {
      const results = names.map((name) => {
        const [loss] = terms[name]!
        return loss.evaluate(student, targets, own(name, loss, given), at)
      })
      return results.some((result) => result instanceof Promise)
        ? Promise.all(results).then((all) => sumOf(all, at))
        : sumOf(results as LossResult[], at)
    },
  } as AnyLoss
}

function report(parts: { [name: string]: number }, name: string, { value, parts: inner }: LossResult): void {
  parts[name] = value
  const keys = Object.keys(inner)
  if (keys.length > 1) for (const key of keys) parts[`${name}.${key}`] = inner[key]!
}

/** The loss's own parameters under its own names. */
function own(name: string, loss: AnyLoss, given: TensorMap): TensorMap | undefined {
  if (loss.parameters === undefined) return undefined
  return tensorMap(Object.keys(loss.parameters).map((key) => [key, given[`${name}/${key}`] ?? loss.parameters![key]!]))
}

type Buffers = Map<string, ReturnType<typeof gradientBuffer>>

/** sums[prefix + key] += factor·terms[key]; the first term of an evaluation overwrites. */
function accumulate(
  sums: { [name: string]: Tensor },
  prefix: string,
  factor: number,
  terms: TensorMap,
  buffers: Buffers,
): void {
  for (const key in terms) {
    const term = terms[key]!
    if (!isType(term, 'float32')) throw new ShapeError('weighted', `cotangents.${key}`, 'float32', term.type)
    const name = prefix + key
    const buffer = buffers.get(name) ?? gradientBuffer()
    buffers.set(name, buffer)
    const sum = buffer(term.dims).data
    const { data } = term
    if (sums[name] === undefined) {
      sums[name] = buffer(term.dims)
      if (factor === 0) sum.fill(0)
      else for (let i = 0; i < sum.length; i++) sum[i] = factor * data[i]!
    } else if (factor > 0) for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + factor * data[i]!
  }
}

function scheduled(name: string, weight: (at: LossProgress) => number, at: LossProgress | undefined): number {
  if (at === undefined)
    throw new StateError(
      `weighted: the weight of ${JSON.stringify(name)} is a schedule, but evaluate() was not told where training stands`,
      'Pass { step, epoch, stepsPerEpoch, epochs } as the fourth argument',
    )
  return checkWeight(name, weight(at))
}

function checkWeight(name: string, weight: number): number {
  if (typeof weight === 'number' && weight >= 0 && Number.isFinite(weight)) return weight
  throw new ArgumentError('weighted', `${name} weight`, 'a finite number ≥ 0', weight)
}
