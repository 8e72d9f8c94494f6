import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { losses } from './hidden-cases.js'
import { f64, ones, openGraph } from './run-loss.js'

interface Plain {
  readonly dims: number[]
  readonly data: number[]
}

interface Case {
  readonly name: string
  readonly loss: string
  readonly student: Plain[]
  readonly teacher: Plain[]
  readonly parameters: { readonly [name: string]: Plain }
  readonly value: number
  readonly cotangents: Plain[]
  readonly gradients: { readonly [name: string]: Plain }
}

const file = new URL('../golden/losses/hidden.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Case[] }

/** ONNX Runtime folds a number that a product is divided by into an attribute in float32. */
const tolerance = 5e-9

describe('losses on hidden tensors against PyTorch in float64, by the formulas of the authors’ code', () => {
  for (const golden of cases)
    it(golden.name, async () => {
      const spec = (side: string, { dims }: Plain, i: number) => ({ name: `${side}${i}`, dims: dims.slice(1) })
      const names = Object.keys(golden.parameters)
      const loss = losses[golden.loss]!(
        golden.student.map((one, i) => spec('s', one, i)),
        golden.teacher.map((one, i) => spec('t', one, i)),
        'float64',
        names,
      )
      expect(Object.keys(loss.parameters).sort()).toEqual([...names].sort())
      const open = await openGraph(loss)
      try {
        const rows = golden.student[0]!.dims[0]!
        const { value, gradients } = await open.run({
          weights: ones([rows]),
          ...Object.fromEntries(golden.student.map(({ dims, data }, i) => [`student/s${i}`, f64(dims, data)])),
          ...Object.fromEntries(golden.teacher.map(({ dims, data }, i) => [`target/t${i}`, f64(dims, data)])),
          ...Object.fromEntries(
            names.map((name) => [
              `parameter/${name}`,
              f64(golden.parameters[name]!.dims, golden.parameters[name]!.data),
            ]),
          ),
        })
        near([value], [golden.value])
        golden.cotangents.forEach(({ data }, i) => {
          near(gradients[`student/s${i}`]!, data)
        })
        for (const name of names) near(gradients[`parameter/${name}`]!, golden.gradients[name]!.data)
      } finally {
        await open.release()
      }
    })

  it('has a golden for every loss', () => {
    expect(new Set(cases.map(({ loss }) => loss))).toEqual(new Set(Object.keys(losses)))
  })
})

function near(got: readonly number[], wanted: readonly number[]): void {
  expect(got.length).toBe(wanted.length)
  const scale = Math.max(1, ...wanted.map(Math.abs))
  got.forEach((value, i) => {
    expect(Math.abs(value - wanted[i]!)).toBeLessThan(tolerance * scale)
  })
}
