import { ArgumentError, NotFoundError, ShapeError, type Tensor, type TensorMap } from '@imago/tensor'
import { type Feed, inputFeed } from './input-feed.js'
import { checkMap, type InputMap } from './input-map.js'
import type { Port } from './session.js'

/** What goes into each input of a model: which tensor of the data, how, and what its rows looked like when this was planned. */
export type Feeds = readonly (readonly [port: string, source: string, feed: Feed, row: string])[]

/**
 * Which tensor goes into which input, and how.
 * @throws ShapeError, ArgumentError, NotFoundError, UnsupportedError where that cannot be told or done
 */
export function planFeeds(
  ports: readonly Port[],
  map: InputMap | readonly InputMap[] | undefined,
  inputs: TensorMap,
): { readonly feeds: Feeds; readonly notes: readonly string[] } {
  const maps = mapsOf(map)
  const given = Object.keys(inputs)
  const notes: string[] = []
  const feeds = ports.map((port) => {
    const mine = maps.find((one) => (one.name ?? (ports.length === 1 ? port.name : undefined)) === port.name) ?? {}
    const guesses = [
      mine.from,
      port.name,
      ...(ports.length === 1 ? ['input', given.length === 1 ? given[0] : undefined] : []),
    ]
    const name = mine.from ?? guesses.find((guess) => guess !== undefined && inputs[guess] !== undefined)
    const source = name === undefined ? undefined : inputs[name]
    if (name === undefined || source === undefined)
      throw new ArgumentError('predictor', 'map', `an input map that says what goes into "${port.name}"`, given)
    const made = inputFeed(port, mine, source)
    notes.push(...made.notes)
    return [port.name, name, made.feed, rowDims(source)] as const
  })
  return { feeds, notes }
}

/**
 * Look at input maps before any data come: their keys, and that the model has the inputs that they name.
 * @throws ArgumentError, NotFoundError
 */
export function checkMaps(ports: readonly Port[], map: InputMap | readonly InputMap[] | undefined): void {
  for (const one of mapsOf(map)) {
    checkMap(one)
    if (one.name !== undefined && !ports.some((port) => port.name === one.name))
      throw new NotFoundError(
        `the model has no input "${one.name}"`,
        `Its inputs are ${ports.map((port) => port.name).join(', ')}`,
      )
  }
}

function mapsOf(map: InputMap | readonly InputMap[] | undefined): readonly InputMap[] {
  return map === undefined ? [] : Array.isArray(map) ? map : [map as InputMap]
}

/** True where the data look as they did when the feeds were planned. */
export function feedsFit(feeds: Feeds, inputs: TensorMap): boolean {
  return feeds.every(([, name, , row]) => row === rowDims(inputs[name]))
}

/** The one number of rows that all tensors have. */
export function rowsOf(inputs: TensorMap): number {
  let rows: number | undefined
  for (const name in inputs) {
    const first = inputs[name]!.dims[0]
    rows ??= first
    if (first === undefined || first !== rows || first < 1)
      throw new ShapeError('predictor', name, `of ${rows || 'at least 1'} rows`, `[${inputs[name]!.dims.join(', ')}]`)
  }
  if (rows === undefined) throw new ArgumentError('predictor', 'inputs', 'at least one tensor', inputs)
  return rows
}

function rowDims(value: Tensor | undefined): string {
  return value === undefined ? '' : `${value.type} ${value.dims.slice(1).join(' ')}`
}
