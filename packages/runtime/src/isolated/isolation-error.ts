import { ImagoError } from '@imago/tensor'

/** The process of an isolated model ended while it was needed; `model` names the model, `reason` says why. */
export class IsolationError extends ImagoError {
  readonly model: string
  readonly reason: 'crash' | 'time' | 'memory'

  constructor(model: string, reason: IsolationError['reason'], what: string) {
    super('ERR_ISOLATED', `${model}: ${what}`)
    this.model = model
    this.reason = reason
  }
}
