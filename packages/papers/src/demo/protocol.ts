/** How the demo trains: sizes, times and rates, the same for every seed. */
export interface DemoProtocol {
  /** Images drawn to learn from and to count errors on. */
  readonly train: number
  readonly test: number
  readonly batch: number
  readonly teacher: {
    /** Units of each hidden layer. */
    readonly hidden: readonly number[]
    readonly dropout: { readonly input: number; readonly hidden: number }
    /** Pixels by which images are moved, anew in each epoch. */
    readonly jitter: number
    readonly epochs: number
    readonly rate: number
  }
  /** The small one; the twin on labels and the distilled one differ in nothing but the loss. */
  readonly student: {
    readonly hidden: readonly number[]
    readonly epochs: number
    readonly rate: number
    /** Pixels; the teacher is asked about the images as moved. */
    readonly jitter: number
  }
  readonly temperature: number
  /** The share of the labels in the distilled student's loss. */
  readonly hardWeight: number
}

/** The protocol of `npm start`. */
export const demoProtocol: DemoProtocol = {
  train: 10_000,
  test: 5_000,
  batch: 100,
  teacher: { hidden: [800, 800], dropout: { input: 0.2, hidden: 0.5 }, jitter: 2, epochs: 30, rate: 1e-3 },
  student: { hidden: [160], epochs: 50, rate: 3e-3, jitter: 0 },
  temperature: 4,
  hardWeight: 0,
}
