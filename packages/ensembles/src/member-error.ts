import { ImagoError } from '@imago/tensor'

/** A member of an ensemble, or a stage of a cascade, that failed; `cause` is what it threw. */
export class MemberError extends ImagoError {
  /** Its place among the members or stages that were given. */
  readonly index: number
  /** Its name, where names were given. */
  readonly member: string | undefined

  constructor(caller: string, label: string, index: number, member: string | undefined, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super('ERR_MEMBER', `${caller}: ${label} failed: ${reason}`, { cause })
    this.index = index
    this.member = member
  }
}
