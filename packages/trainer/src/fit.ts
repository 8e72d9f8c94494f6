import type { Batch, Batches } from '@imago/data'
import type { AnyLoss } from '@imago/losses'
import type { Optimizer } from '@imago/optim'
import { ArgumentError, type Predict, type Rng, type TensorMap } from '@imago/tensor'
import type { Evaluation } from './evaluate.js'
import type { JsonObject } from './json.js'
import { emptyMeter, means, measure } from './meter.js'
import type { EpochReport, Report, StepReport } from './report.js'
import { checkFinite, restoreState, runConfig, stateOf } from './resume.js'
import type { CheckpointStore, Meter } from './state.js'
import { trainStep } from './step.js'
import { predictStudent, type TrainableStudent } from './student.js'

/** Where and how often training state is kept. */
export interface CheckpointOptions {
  readonly store: CheckpointStore
  /** After every so many epochs; default 1. The last epoch is always kept. */
  readonly everyEpochs?: number
  /** Also after every so many steps inside an epoch. */
  readonly everySteps?: number
  /** What else makes this run what it is (file names and digests, rates …): a checkpoint of another run is refused. */
  readonly config?: JsonObject
  /** Go on from a checkpoint although its config differs; each difference becomes a warning. */
  readonly force?: boolean
}

/** What every way of training takes. */
export interface FitOptions {
  readonly student: TrainableStudent
  readonly data: Batches
  readonly loss: AnyLoss
  readonly optimizer: Optimizer
  /** Inputs of the data that the loss reads as targets, by the target's name: `{ weights: 'attention_mask', labels: 'tags' }`. */
  readonly fromInputs?: { readonly [target: string]: string }
  /** Passes over the data, in all: a resumed run does what is left of them. */
  readonly epochs: number
  /** Where dropout masks come from. Never moved: each step has its own, split by number. */
  readonly rng: Rng
  /** Abort: a checkpoint is written where one is asked for, then `signal.reason` is thrown. */
  readonly signal?: AbortSignal
  readonly checkpoint?: CheckpointOptions
  /** After an epoch, its result goes into the epoch's report: `(predict) => evaluate({ predict, data: test })`. */
  readonly evaluate?: (predict: Predict, signal?: AbortSignal) => Promise<Evaluation>
  /** Evaluate after every so many epochs; default 1. The last epoch is always evaluated. */
  readonly evaluateEvery?: number
  /** Milliseconds from any origin, for rows per second; absent: speed is not reported. */
  readonly clock?: () => number
}

/** What a run comes to. */
export interface Outcome {
  readonly steps: number
  readonly history: readonly EpochReport[]
}

/** Supervision of one batch: what the loss reads beside the student's outputs. */
export type BatchTargets = (batch: Batch, signal?: AbortSignal) => Promise<TensorMap>

/**
 * The loop that `train` and `distill` share: forward, loss, pullback, optimizer; running statistics; reports; evaluation;
 * checkpoints. Every random choice is a function of generator, epoch and step, so a resumed run is the undisturbed one.
 *
 * An epoch's (or step's) report comes before the checkpoint that holds it: what a consumer writes down on a report is
 * written before the state that follows, and `MetricsLog.rewind` never loses a row.
 *
 * @throws NumericError naming the step and what is not finite; StateError for a checkpoint of another run
 */
export async function* fit(
  caller: string,
  options: FitOptions,
  targets: BatchTargets,
): AsyncGenerator<Report, Outcome> {
  checkOptions(caller, options)
  const { student, data, loss, optimizer, epochs, signal, clock, checkpoint } = options
  const { everyEpochs = 1, everySteps = Number.POSITIVE_INFINITY } = checkpoint ?? {}
  const config = runConfig(options)
  const masks = options.rng.split('masks')
  const steps = epochs * data.length
  const history: EpochReport[] = []
  let [step, epoch, batch] = [0, 0, 0]
  let meter: Meter = emptyMeter

  const loaded = await checkpoint?.store.load()
  if (loaded) {
    const restored = restoreState(caller, options, config, loaded.state)
    ;({ step, epoch, batch, meter } = loaded.state)
    history.push(...loaded.state.history)
    for (const message of [...loaded.warnings, ...restored]) yield { kind: 'warning', message }
    yield { kind: 'resume', step, epoch, history: [...history] }
  }

  const save = async (): Promise<Report> => {
    const state = stateOf(options, config, { step, epoch, batch, meter, history })
    checkFinite(`${caller}, step ${step}`, state.tensors)
    return { kind: 'checkpoint', step, ...(await checkpoint!.store.save(state)) }
  }
  const stop = async (): Promise<never> => {
    if (checkpoint) await save()
    throw signal!.reason
  }

  for (; epoch < epochs; epoch++, batch = 0, meter = emptyMeter) {
    const speed = stopwatch(clock)
    const lastEpoch = epoch + 1 === epochs
    if (batch < data.length)
      for await (const rows of data.epoch(epoch, batch)) {
        if (signal?.aborted) await stop()
        const at = { step, epoch, stepsPerEpoch: data.length, epochs }
        const where = `${caller}, step ${step + 1} (epoch ${epoch + 1}, batch ${batch + 1})`
        let report: StepReport
        try {
          const result = await trainStep({ where, student, loss, optimizer, at, rng: masks.split(step) }, rows, () =>
            targets(rows, signal),
          )
          const speedNow = speed(rows.ids.length)
          report = {
            kind: 'step',
            epoch: epoch + 1,
            step: step + 1,
            steps,
            ...result,
            rows: rows.ids.length,
            ...speedNow,
          }
        } catch (error) {
          // An abort inside the step comes before the optimizer has moved anything: the state is that of the step before.
          if (signal?.aborted) await stop()
          throw error
        }
        step++
        batch++
        meter = measure(meter, report.rows, report.loss, report.parts, report.rate)
        yield report
        if (checkpoint && step % everySteps === 0 && batch < data.length) yield await save()
      }
    if (signal?.aborted) await stop()
    let evaluation: Evaluation | undefined
    if (options.evaluate && (lastEpoch || (epoch + 1) % (options.evaluateEvery ?? 1) === 0))
      try {
        evaluation = await options.evaluate(predictStudent(student), signal)
      } catch (error) {
        if (signal?.aborted) await stop()
        throw error
      }
    const report: EpochReport = {
      kind: 'epoch',
      epoch: epoch + 1,
      epochs,
      step,
      ...means(meter),
      rate: meter.rate,
      ...speed(0),
      ...(evaluation && { evaluation }),
    }
    yield report
    history.push(report)
    if (checkpoint && (lastEpoch || (epoch + 1) % everyEpochs === 0)) {
      const done = { step, epoch: epoch + 1, batch: 0, meter: emptyMeter, history }
      const state = stateOf(options, config, done)
      checkFinite(`${caller}, step ${step}`, state.tensors)
      yield { kind: 'checkpoint', step, ...(await checkpoint.store.save(state)) }
    }
  }
  return { steps: step, history }
}

/** Rows per second since it was made; what happens between two calls counts, evaluation after the last does not. */
function stopwatch(clock: (() => number) | undefined): (rows: number) => { rowsPerSecond?: number } {
  if (!clock) return () => ({})
  const start = clock()
  let rows = 0
  let rowsPerSecond = 0
  return (more) => {
    if (more > 0) {
      rows += more
      rowsPerSecond = (1000 * rows) / Math.max(1e-6, clock() - start)
    }
    return { rowsPerSecond }
  }
}

function checkOptions(caller: string, options: FitOptions): void {
  const whole = (argument: string, value: number | undefined): void => {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1))
      throw new ArgumentError(caller, argument, 'a whole number ≥ 1', value)
  }
  whole('epochs', options.epochs)
  whole('evaluateEvery', options.evaluateEvery)
  whole('checkpoint.everyEpochs', options.checkpoint?.everyEpochs)
  whole('checkpoint.everySteps', options.checkpoint?.everySteps)
}
