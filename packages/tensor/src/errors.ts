/**
 * Every error that imago throws on purpose: `code` is stable and meant for programs, the message for people.
 * A message names who was called, what was expected and what came, and where it can, what to do.
 */
export class ImagoError extends Error {
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/** An argument that cannot be used: wrong type, range or value. */
export class ArgumentError extends ImagoError {
  readonly argument: string
  readonly expected: string
  readonly got: string

  constructor(caller: string, argument: string, expected: string, got: unknown, options?: ErrorOptions) {
    super('ERR_ARGUMENT', `${caller}: "${argument}" must be ${expected}, got ${describe(got)}`, options)
    this.argument = argument
    this.expected = expected
    this.got = describe(got)
  }
}

/** Tensors whose shapes, types or sizes do not fit together. */
export class ShapeError extends ImagoError {
  readonly argument: string
  readonly expected: string
  readonly got: string

  constructor(caller: string, argument: string, expected: string, got: string) {
    super('ERR_SHAPE', `${caller}: "${argument}" must be ${expected}, got ${got}`)
    this.argument = argument
    this.expected = expected
    this.got = got
  }
}

/** A file or a byte stream that is not what it claims to be. `where` names the file, and the offset or field if known. */
export class FormatError extends ImagoError {
  readonly where: string

  constructor(where: string, problem: string, options?: ErrorOptions) {
    super('ERR_FORMAT', `${where}: ${problem}`, options)
    this.where = where
  }
}

/** Something that was asked for by name and is not there: a file, a model output, a data set. */
export class NotFoundError extends ImagoError {
  constructor(what: string, remedy: string, options?: ErrorOptions) {
    super('ERR_NOT_FOUND', `${what}. ${remedy}`, options)
  }
}

/** A request that imago understands and refuses, with the reason: an op without a gradient rule, a device that is absent. */
export class UnsupportedError extends ImagoError {
  constructor(what: string, reason: string, options?: ErrorOptions) {
    super('ERR_UNSUPPORTED', `${what}: ${reason}`, options)
  }
}

/** A number that stopped being one: NaN or infinity where a finite value is needed. */
export class NumericError extends ImagoError {
  constructor(where: string, problem: string) {
    super('ERR_NUMERIC', `${where}: ${problem}`)
  }
}

/** A device that could not do it: no memory left, a launch that went wrong, a driver that is gone. */
export class DeviceError extends ImagoError {
  constructor(what: string, reason: string, options?: ErrorOptions) {
    super('ERR_DEVICE', `${what}: ${reason}`, options)
  }
}

/** A call that comes at the wrong time: after dispose, into a folder of another run, beside another writer. */
export class StateError extends ImagoError {
  constructor(what: string, remedy: string, options?: ErrorOptions) {
    super('ERR_STATE', `${what}. ${remedy}`, options)
  }
}

/** A value as an error message shows it: short, on one line, control characters escaped. */
export function describe(value: unknown): string {
  return describeTo(value, 3)
}

/** `depth` levels of arrays: one may hold itself. */
function describeTo(value: unknown, depth: number): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value)
  if (ArrayBuffer.isView(value) && 'length' in value) return `${value.constructor.name}(${value.length})`
  if (Array.isArray(value)) {
    if (depth === 0) return `Array(${value.length})`
    const elements = value.slice(0, 8).map((element) => describeTo(element, depth - 1))
    return `[${elements.join(', ')}${value.length > 8 ? ', …' : ''}]`
  }
  if (typeof value === 'function') return value.name === '' ? 'a function' : `function ${value.name}`
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'object'
  if (typeof value === 'bigint') return `${value}n`
  return Object.is(value, -0) ? '-0' : String(value)
}
