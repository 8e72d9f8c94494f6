import { ArgumentError, DeviceError, ImagoError, NumericError } from '@imago/tensor'

/** Run `call`; what CUDA says becomes a DeviceError that names the caller. */
export function checked<R>(caller: string, call: () => R): R {
  try {
    return call()
  } catch (error) {
    throw deviceError(caller, error)
  }
}

export function deviceError(caller: string, error: unknown): unknown {
  if (error instanceof ImagoError || !(error instanceof Error) || !error.message.startsWith('CUDA: ')) return error
  const remedy = error.message.includes('out of memory') ? '; dispose() the tensors that you no longer need' : ''
  return new DeviceError(caller, `${error.message}${remedy}`, { cause: error })
}

/** `soft_target_loss: student: NaN in row 3`, as waiting for a stream finds it, as an error. */
export function refused(sentence: string): Error {
  const [, kernel = 'kernel', buffer = '', problem = sentence] = /^(\w+): (\w+): (.*)$/.exec(sentence) ?? []
  const row = /row \d+/.exec(problem)?.[0] ?? 'some row'
  if (buffer === 'labels')
    return new ArgumentError(kernel, buffer, `a class, −1 or ignoreIndex in ${row}`, 'another number')
  if (buffer === 'rowWeights') return new ArgumentError(kernel, buffer, `finite and ≥ 0 in ${row}`, 'another number')
  return new NumericError(`${kernel}: "${buffer}"`, `${problem}; give the row weight 0 to leave it out`)
}

/** Waits for an answer of the addon's: a sentence with which a kernel refused a row becomes an error. */
export async function answered(caller: string, ask: () => Promise<string | null>): Promise<void> {
  let sentence: string | null
  try {
    sentence = await ask()
  } catch (error) {
    throw deviceError(caller, error)
  }
  if (sentence !== null) throw refused(sentence)
}
