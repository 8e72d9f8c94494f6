import { ShapeError, type Tensor } from '@imago/tensor'

/**
 * The dims [N, planes, H, W] of an input of images: [N, H, W], [N, planes, H, W], or flat rows [N, planes·H·W] with height and width given;
 * 784 values in a row are taken as 28×28.
 *
 * @throws ShapeError
 */
export function imageDims(
  caller: string,
  name: string,
  value: Tensor,
  options: { readonly height?: number; readonly width?: number },
): [number, number, number, number] {
  const [rows = 0, ...rest] = value.dims
  if (rest.length === 2) return [rows, 1, rest[0]!, rest[1]!]
  if (rest.length === 3) return [rows, rest[0]!, rest[1]!, rest[2]!]
  const size = rest[0] ?? 0
  const height = options.height ?? (size === 784 ? 28 : 0)
  const width = options.width ?? (size === 784 ? 28 : 0)
  const planes = size / (height * width)
  if (rest.length !== 1 || !Number.isInteger(planes))
    throw new ShapeError(
      caller,
      name,
      'images [N, H, W] or [N, planes, H, W], or rows of planes·height·width with height and width given',
      `[${value.dims.join(', ')}]`,
    )
  return [rows, planes, height, width]
}
