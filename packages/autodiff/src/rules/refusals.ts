import { type RuleTable, refuse } from '../rule.js'

const branches = refuse(
  'gradients do not pass control flow; export the model without it (fixed shapes, unrolled loops)',
)
const quantized = refuse('rounding has no slope; train the float model and quantize it afterwards')
const fused = refuse('this fused op has no rule; export the model without operator fusion')

/** Ops that imago knows and does not differentiate, with the reason. */
export const refusals: RuleTable = {
  If: branches,
  Loop: branches,
  Scan: branches,
  QuantizeLinear: quantized,
  DequantizeLinear: quantized,
  DynamicQuantizeLinear: quantized,
  QLinearConv: quantized,
  QLinearMatMul: quantized,
  MatMulInteger: quantized,
  ConvInteger: quantized,
  'com.microsoft.Attention': fused,
  'com.microsoft.MultiHeadAttention': fused,
  'com.microsoft.SkipLayerNormalization': fused,
  'com.microsoft.EmbedLayerNormalization': fused,
  'com.microsoft.FusedConv': fused,
  'com.microsoft.FusedGemm': fused,
}
