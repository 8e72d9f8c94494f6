import { ArgumentError, type TensorMap } from '@imago/tensor'

/**
 * Max-norm: after each step every unit's incoming weights w with ‖w‖² > limit are scaled back to ‖w‖² = limit
 * (arXiv 1207.0580 §2: limit 15 on MNIST).
 */
export interface MaxSquaredNorm {
  readonly limit: number
  /**
   * For each parameter that is held: is a unit a row (dims `[out, in]`: Gemm with transB, Conv) or a column (`[in, out]`:
   * MatMul)? Rows: all dims but the first are incoming. Parameters left out are free.
   */
  readonly units: { readonly [parameter: string]: 'rows' | 'columns' }
}

/** Refuses units of parameters that are not there or that have no incoming weights (biases). */
export function checkUnits(caller: string, { units }: MaxSquaredNorm, parameters: TensorMap): void {
  for (const name in units) {
    const parameter = parameters[name]
    if (parameter === undefined)
      throw new ArgumentError(caller, 'maxSquaredNorm.units', `names among ${list(parameters)}`, name)
    if (parameter.dims.length < 2)
      throw new ArgumentError(
        caller,
        `maxSquaredNorm.units.${name}`,
        'left out: biases get no max-norm',
        `a parameter of dims [${parameter.dims.join(', ')}]`,
      )
    if (units[name] === 'columns' && parameter.dims.length > 2)
      throw new ArgumentError(caller, `maxSquaredNorm.units.${name}`, '"rows": columns are of a matrix', 'columns')
    if (units[name] !== 'rows' && units[name] !== 'columns')
      throw new ArgumentError(caller, `maxSquaredNorm.units.${name}`, '"rows" or "columns"', units[name])
  }
}

/** What the kernel wants to know of one parameter: nothing where it is free. */
export function unitsOf(
  { limit, units }: MaxSquaredNorm,
  name: string,
): { maxSquaredNorm?: number; units?: 'rows' | 'columns' } {
  const axis = Object.hasOwn(units, name) ? units[name] : undefined
  return axis === undefined ? {} : { maxSquaredNorm: limit, units: axis }
}

function list(parameters: TensorMap): string {
  const names = Object.keys(parameters)
  return names.length > 12 ? `${names.slice(0, 12).join(', ')}, …` : names.join(', ')
}
