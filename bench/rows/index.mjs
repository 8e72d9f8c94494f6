import * as loss from './loss.mjs'
import * as step from './step.mjs'
import * as teacher from './teacher.mjs'

/** Every row by its stem, in the order in which they are run and printed. */
export const rows = { step, loss, teacher }
