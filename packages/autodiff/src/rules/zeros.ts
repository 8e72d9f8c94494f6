import { type RuleTable, zero } from '../rule.js'

const steps = ['Floor', 'Ceil', 'Round', 'Sign', 'Hardmax']
const questions = [
  'Not',
  'And',
  'Or',
  'Xor',
  'ArgMax',
  'ArgMin',
  'Equal',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'IsNaN',
  'IsInf',
  'NonZero',
]
const shapes = ['Shape', 'Size', 'ConstantOfShape', 'EyeLike']
const random = ['RandomNormalLike', 'RandomUniformLike']

/** Ops through which nothing flows back, on purpose. */
export const zeros: RuleTable = Object.fromEntries([
  ...steps.map((op) => [op, zero] as const),
  ...questions.map((op) => [op, { zero: 'its output is an index or a truth value, not a real number' }] as const),
  ...shapes.map((op) => [op, { zero: 'it reads sizes or positions, not values' }] as const),
  ...random.map((op) => [op, { zero: 'it reads only the shape of its input' }] as const),
])
