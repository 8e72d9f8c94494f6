// A gradient rule of one's own: teach autodiff an op that it does not know.
import { defaultRules, vjp } from '@imago/autodiff'
import { builder } from '@imago/onnx'

const b = builder()
b.input('x', 'float32', ['N', 4])
b.op('Sin', ['x'], {}, { outputs: ['y'] })
b.output('y', 'float32', ['N', 4])

/** d sin(x) = cos(x)·dY */
const sin = (node, { b }, [dY]) => [b.op('Mul', [dY, b.op('Cos', [node.inputs[0]])])]

const { backward } = vjp(b.graph(), { wrt: ['x'], seeds: ['y'], rules: { ...defaultRules, Sin: sin } })
console.log(backward.nodes.map(({ op }) => op).join(' → '))
