import * as adamw from './adamw.mjs'
import * as covariance from './covariance.mjs'
import * as dropout from './dropout.mjs'
import * as eq5 from './eq5.mjs'
import * as loss from './loss.mjs'
import * as memory from './memory.mjs'
import * as neighbors from './neighbors.mjs'
import * as overhead from './overhead.mjs'
import * as sgd from './sgd.mjs'
import * as specialists from './specialists.mjs'
import * as step from './step.mjs'
import * as store from './store.mjs'
import * as student from './student.mjs'
import * as teacher from './teacher.mjs'

/** Every row by its stem, in the order in which they are run and printed. */
export const rows = {
  loss,
  sgd,
  adamw,
  dropout,
  overhead,
  memory,
  step,
  student,
  teacher,
  neighbors,
  covariance,
  eq5,
  specialists,
  store,
}
