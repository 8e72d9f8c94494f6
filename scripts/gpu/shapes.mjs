/** What is timed: the losses as [rows, classes]; the largest are left out where they do not fit the card. */
export const lossShapes = [
  [1024, 10],
  [256, 1000],
  [8192, 1000],
  [2048, 32_000],
  [16_384, 32_000],
  [8192, 128_256],
]

/** Elements of the loops over parameters and activations. */
export const lengths = [1_300_000, 25_000_000, 268_435_456]
