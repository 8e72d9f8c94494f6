import { ArgumentError } from '@imago/tensor'

/** How a data set's tensor becomes a model's input: y = (scale·x − mean) / std, then the layout of the model. */
export interface InputMap {
  /** The model's input; default its only one. */
  readonly name?: string | undefined
  /** The data set's tensor; default the one of the model's name, else `input`, else the only one. */
  readonly from?: string | undefined
  /**
   * The layout that the model takes; data come as `[N, C·H·W]` or `[N, C, H, W]`. Default: the dims that the model states.
   */
  readonly layout?: 'flat' | 'NCHW' | 'NHWC' | undefined
  /** The dims of one row as the model takes it, where its file leaves them open. */
  readonly dims?: readonly number[] | undefined
  readonly scale?: number | undefined
  /** One number, or one for each channel (of flat data: of each feature, or of equal stretches of features). */
  readonly mean?: number | readonly number[] | undefined
  readonly std?: number | readonly number[] | undefined
}

const keys = ['name', 'from', 'layout', 'dims', 'scale', 'mean', 'std']
const layouts = ['flat', 'NCHW', 'NHWC']

/** Maps come from command lines and JSON: unknown keys are spelling mistakes. */
export function checkMap(map: InputMap): void {
  if (typeof map !== 'object' || map === null) throw new ArgumentError('input map', 'map', 'an object', map)
  const odd = Object.keys(map).find((key) => !keys.includes(key))
  if (odd !== undefined)
    throw new ArgumentError('input map', 'map', `an object with keys among ${keys.join(', ')}`, odd)
  const { name, from, layout, dims, scale, mean, std } = map
  for (const [key, value] of Object.entries({ name, from }))
    if (value !== undefined && typeof value !== 'string') throw new ArgumentError('input map', key, 'a name', value)
  if (layout !== undefined && !layouts.includes(layout))
    throw new ArgumentError('input map', 'layout', `one of ${layouts.join(', ')}`, layout)
  if (dims !== undefined && !(Array.isArray(dims) && dims.every((dim) => Number.isSafeInteger(dim) && dim > 0)))
    throw new ArgumentError('input map', 'dims', 'the sizes of one row, whole numbers ≥ 1', dims)
  for (const [key, value] of Object.entries({ scale, mean, std }))
    if (value !== undefined && ![value].flat().every((number) => typeof number === 'number' && Number.isFinite(number)))
      throw new ArgumentError('input map', key, 'a finite number, or for mean and std a list of them', value)
  if ([std].flat().includes(0)) throw new ArgumentError('input map', 'std', 'numbers other than 0', std)
  if (typeof (scale ?? 1) !== 'number') throw new ArgumentError('input map', 'scale', 'one number', scale)
}
