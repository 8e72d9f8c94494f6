import { type Dim, float, floatAttribute, intAttribute } from '@imago/onnx'
import { swapLast } from '../axes.js'
import { reshapeLike, unbroadcast } from '../emit.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'

/** Y = α·A'·B' + β·C, where ' is the transposition that transA and transB ask for. Backward is Gemm again, never a Transpose. */
const gemm: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [A, B, C] = node.inputs as [string, string, string?]
  const transA = intAttribute(node, 'transA', 0)
  const transB = intAttribute(node, 'transB', 0)
  const alpha = floatAttribute(node, 'alpha', 1)
  const beta = floatAttribute(node, 'beta', 1)
  const product = (left: string, right: string, transLeft: number, transRight: number): string =>
    b.op('Gemm', [left, right], {
      ...(transLeft && { transA: 1 }),
      ...(transRight && { transB: 1 }),
      ...(alpha !== 1 && { alpha: float(alpha) }),
    })
  const dC = (bias: string): string => {
    const sum = unbroadcast(ctx, dY!, node.outputs[0]!, bias)
    return beta === 1 ? sum : b.op('Mul', [sum, ctx.scalar(beta, bias)])
  }
  return [
    // dA' = α·dY·B'ᵀ
    ctx.needs(0) ? (transA ? product(B, dY!, transB, 1) : product(dY!, B, 0, 1 - transB)) : undefined,
    // dB' = α·A'ᵀ·dY
    ctx.needs(1) ? (transB ? product(dY!, A, 1, transA) : product(A, dY!, 1 - transA, 0)) : undefined,
    C && ctx.needs(2) ? dC(C) : undefined,
  ]
}

const matMul: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [A, B] = node.inputs as [string, string]
  const rankA = ctx.ranked(A).length
  const rankB = ctx.ranked(B).length
  if (rankA === 2 && rankB === 2)
    return [
      ctx.needs(0) ? b.op('Gemm', [dY!, B], { transB: 1 }) : undefined,
      ctx.needs(1) ? b.op('Gemm', [A, dY!], { transA: 1 }) : undefined,
    ]
  if (rankA > 2 && rankB === 2) return rowsTimesMatrix(ctx, A, B, dY!)
  return batched(ctx, A, B, node.outputs[0]!, dY!, rankA, rankB)
}

/** A [.., M, K] · B [K, N]: all leading dims are rows of one product. */
function rowsTimesMatrix(ctx: RuleContext, A: string, B: string, dY: string): (string | undefined)[] {
  const { b } = ctx
  const [K, N] = ctx.ranked(B)
  const inner = ctx.ranked(A).at(-1)!
  const depth = typeof K === 'number' ? K : inner
  if (typeof depth !== 'number' || typeof N !== 'number') ctx.refuse('the sizes of the right matrix are not known')
  const rows = b.op('Reshape', [dY, b.ints([-1, N])])
  return [
    ctx.needs(0) ? reshapeLike(ctx, b.op('Gemm', [rows, B], { transB: 1 }), A) : undefined,
    ctx.needs(1) ? b.op('Gemm', [b.op('Reshape', [A, b.ints([-1, depth])]), rows], { transA: 1 }) : undefined,
  ]
}

/** The general case: leading dims broadcast, a 1-D operand is a row (left) or a column (right). */
function batched(
  ctx: RuleContext,
  A: string,
  B: string,
  Y: string,
  dY: string,
  rankA: number,
  rankB: number,
): (string | undefined)[] {
  const { b } = ctx
  const left = rankA === 1 ? b.op('Unsqueeze', [A, b.ints([0])]) : A
  const right = rankB === 1 ? b.op('Unsqueeze', [B, b.ints([1])]) : B
  let d = dY
  if (rankB === 1) d = b.op('Unsqueeze', [d, b.ints([-1])])
  if (rankA === 1) d = b.op('Unsqueeze', [d, b.ints([-2])])
  const transposed = (value: string, rank: number): string =>
    b.op('Transpose', [value], { perm: swapLast(Math.max(2, rank)) })
  const shapeY = ctx.ranked(Y)
  const leading = (rank: number): number => Math.max(0, rank - 2)
  const stretched = Math.max(leading(rankA), leading(rankB))
  const toOperand = (gradient: string, operand: string, rank: number): string => {
    const shape = ctx.ranked(operand)
    const lead = stretched - leading(rank)
    const axes = shapeY.slice(0, stretched).flatMap((dim, i) => {
      if (i < lead) return [i]
      const own = shape[i - lead]!
      if (own === 1) return dim === 1 ? [] : [i]
      if (typeof own === 'number' || own === dim) return []
      return ctx.refuse(`whether its leading size ${own} is stretched to ${dim} is not known before it runs`)
    })
    if (axes.length > 0) {
      const sum = b.op('ReduceSum', [gradient, b.ints(axes)], { keepdims: 1 })
      return reshapeLike(ctx, sum, operand)
    }
    return rank === 1 ? reshapeLike(ctx, gradient, operand) : gradient
  }
  return [
    ctx.needs(0) ? toOperand(b.op('MatMul', [d, transposed(right, rankB)]), A, rankA) : undefined,
    ctx.needs(1) ? toOperand(b.op('MatMul', [transposed(left, rankA), d]), B, rankB) : undefined,
  ]
}

/** Y = α·A·B' with a matrix B that is transposed or not: rows times a matrix, and no transposed copy on the way back either. */
const fusedMatMul: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [A, B] = node.inputs as [string, string]
  const flag = (name: string): boolean => intAttribute(node, name, 0) !== 0
  const matrix = ctx.ranked(B)
  if (flag('transA') || flag('transBatchA') || flag('transBatchB') || matrix.length !== 2 || ctx.ranked(A).length < 2)
    return ctx.refuse('only rows times a matrix are differentiated; export the model without operator fusion')
  const [first, second] = matrix as [Dim, Dim]
  const [depth, width] = flag('transB') ? [second, first] : [first, second]
  if (typeof depth !== 'number' || typeof width !== 'number')
    return ctx.refuse('the sizes of the right matrix are not known')
  const alpha = floatAttribute(node, 'alpha', 1)
  const scale = alpha === 1 ? {} : { alpha: float(alpha) }
  const rows = (value: string, size: number): string => b.op('Reshape', [value, b.ints([-1, size])])
  const d = rows(dY!, width)
  const x = (): string => rows(A, depth)
  const dB = (): string =>
    flag('transB') ? b.op('Gemm', [d, x()], { transA: 1, ...scale }) : b.op('Gemm', [x(), d], { transA: 1, ...scale })
  return [
    ctx.needs(0)
      ? reshapeLike(ctx, b.op('Gemm', [d, B], { ...(!flag('transB') && { transB: 1 }), ...scale }), A)
      : undefined,
    ctx.needs(1) ? dB() : undefined,
  ]
}

export const linear: RuleTable = { Gemm: gemm, MatMul: matMul, 'com.microsoft.FusedMatMul': fusedMatMul }
