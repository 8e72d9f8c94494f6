/**
 * `fillStore` with a teacher against the lower of two limits: the teacher alone, and as many bytes written one after another. Then training steps whose
 * targets are read back in random order, read ahead, against steps with targets in hand.
 */
export const title = 'store of soft targets: filling and reading'

/** The teacher of the row `teacher` with 1000 classes, 784-1200-1200-1000; `hidden` empty: logits that are there, so that the disk alone is the limit. */
const common = { classes: 1000, inputs: 784, hidden: [1200, 1200], batch: 256 }

/** At least 0.8 of the lower limit, below 512 MiB at the peak, and steps that wait for their targets less than a tenth of their time. */
const asked = { share: 0.8, mebibytes: 512, working: 0.9 }

export const cases = [
  { name: '1,000,000 × 1000, float16', rows: 1_000_000, encoding: { kind: 'full' }, ...common, asked, rounds: 1 },
  { name: '200,000 × 1000, float16', rows: 200_000, encoding: { kind: 'full' }, ...common, asked },
  {
    name: '200,000 × 1000, float16, no teacher',
    rows: 200_000,
    encoding: { kind: 'full' },
    ...common,
    hidden: [],
    asked,
  },
  {
    name: '200,000 × 1000, float32, no teacher',
    rows: 200_000,
    encoding: { kind: 'full', type: 'float32' },
    ...common,
    hidden: [],
    asked,
  },
  {
    name: '100,000 × 1000, top-k of 128',
    rows: 100_000,
    encoding: { kind: 'top-k', k: 128, temperatures: [4] },
    ...common,
    asked,
  },
]

export const comparisons = []
export const threads = [1]
/** Measured by harness/store.mjs. */
export const measure = 'store'
