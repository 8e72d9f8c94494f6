import { equalDim, stringAttribute } from '@imago/onnx'
import { range } from '../axes.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'

/** The gradient of an operand is an Einsum of the cotangent with the others; what only that operand had was summed, and is spread again. */
const einsum: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const { terms, result } = parsed(stringAttribute(node, 'equation', ''), node.inputs, ctx)
  const letters = new Map<string, { readonly value: string; readonly axis: number }>()
  for (const [i, term] of terms.entries()) {
    const sizes = ctx.ranked(node.inputs[i]!)
    for (const [axis, letter] of [...term].entries()) {
      const known = letters.get(letter)
      if (known === undefined) letters.set(letter, { value: node.inputs[i]!, axis })
      else if (!equalDim(ctx.ranked(known.value)[known.axis], sizes[axis]))
        return ctx.refuse(`whether its index "${letter}" is stretched is not known`)
    }
  }
  return node.inputs.map((input, i) => {
    if (!ctx.needs(i)) return undefined
    const term = terms[i]!
    const others = terms.filter((_, j) => j !== i)
    const there = new Set([result, ...others].join(''))
    const own = [...new Set(term)].join('')
    const got = [...own].filter((letter) => there.has(letter)).join('')
    const operands = [dY!, ...node.inputs.filter((_, j) => j !== i)]
    const made = b.op('Einsum', operands, { equation: `${[result, ...others].join(',')}->${got}` })
    return spread(ctx, made, got, own, term, input)
  })
}

/** From the indices `got` to those of the term: the missing ones stretched, repeated ones put on the diagonal. */
function spread(ctx: RuleContext, value: string, got: string, own: string, term: string, input: string): string {
  const { b } = ctx
  const missing = range(own.length).filter((axis) => !got.includes(own[axis]!))
  const axes = [...own].map((letter) => term.indexOf(letter))
  const wide = missing.length > 0 ? b.op('Unsqueeze', [value, b.ints(missing)]) : value
  const shape = own === term ? ctx.shapeOf(input) : b.op('Gather', [ctx.shapeOf(input), b.ints(axes)], { axis: 0 })
  const whole = missing.length > 0 ? b.op('Expand', [wide, shape]) : wide
  if (own === term) return whole
  return ctx.refuse(`it takes a diagonal ("${term}"); write it by Gather or by a product with EyeLike`)
}

/** The terms in letters; an ellipsis becomes letters of its own. */
function parsed(
  equation: string,
  inputs: readonly string[],
  ctx: RuleContext,
): { readonly terms: readonly string[]; readonly result: string } {
  const [left = '', right] = equation.replace(/\s/g, '').split('->')
  const terms = left.split(',')
  const taken = new Set(equation)
  const free = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'].filter((letter) => !taken.has(letter))
  const counts = terms.map((term, i) =>
    term.includes('...') ? ctx.ranked(inputs[i]!).length - term.replace('...', '').length : 0,
  )
  const most = Math.max(0, ...counts)
  const rest = (count: number): string => free.slice(most - count, most).join('')
  const plain = terms.map((term, i) => term.replace('...', rest(counts[i]!)))
  const all = plain.join('')
  // Without an arrow: what occurs once, in order.
  const once = [...new Set(all)].filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter))
  const implied =
    rest(most) +
    once
      .filter((letter) => !rest(most).includes(letter))
      .sort()
      .join('')
  return { terms: plain, result: right === undefined ? implied : right.replace('...', rest(most)) }
}

export const einsums: RuleTable = { Einsum: einsum }
