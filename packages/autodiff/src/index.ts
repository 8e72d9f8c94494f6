export { defaultRules } from './default-rules.js'
export { type DifferentiatedModel, type DifferentiateOptions, differentiate } from './differentiate.js'
export { type InspectOptions, inspectGradients, type NodeGradient } from './inspect-gradients.js'
export type * from './program.js'
export {
  type Refusal,
  type RewritingRule,
  type Rule,
  type RuleContext,
  type RuleEntry,
  type RuleTable,
  refuse,
  type Zero,
  zero,
} from './rule.js'
export { type TrainingForm, type TrainingOptions, training } from './training.js'
export { type ValueAndGradients, type ValueAndGradientsOptions, valueAndGradients } from './value-and-gradients.js'
export { type VjpOptions, vjp } from './vjp.js'
