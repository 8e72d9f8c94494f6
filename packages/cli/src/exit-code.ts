import { ImagoError } from '@imago/tensor'

/** What the process says to the shell. */
export const exitCode = {
  ok: 0,
  /** Something failed: a sentence on standard error says what. */
  failed: 1,
  /** The command line cannot be used. */
  usage: 2,
  /** The work was done, and an effect that it should show points the wrong way. */
  effect: 3,
  /** Ended by SIGINT or SIGTERM after writing a checkpoint: 128 + the signal's number. */
  interrupted: 130,
  terminated: 143,
} as const

/** Why a run was stopped from outside: the reason of the abort signal. */
export class Interrupted extends ImagoError {
  readonly signal: 'SIGINT' | 'SIGTERM'

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super('ERR_INTERRUPTED', `stopped by ${signal}`)
    this.signal = signal
  }
}
