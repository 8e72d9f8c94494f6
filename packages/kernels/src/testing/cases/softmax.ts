import { elements } from '../judge.js'
import type { ParityCase, ParityTable } from '../parity-case.js'
import { lossRows } from './loss-rows.js'

const cases: ParityCase[] = [0, 1].flatMap((log) =>
  lossRows
    .filter(({ name, refuses }) => (refuses ? refuses.buffer === 'student' : !/^NaN/.test(name)) && !/mask/.test(name))
    .flatMap((rows) =>
      [false, true].map((same): ParityCase => {
        const message = rows.refuses?.message.source.replace('student', 'logits')
        return {
          name: `${rows.name}${log ? ', log' : ''}${same ? ', in place' : ''}`,
          make: () => {
            const { student, rows: count, classes, temperature } = rows.make()
            const out = same ? student : new Float32Array(student.length).fill(Number.NaN)
            return { buffers: [student, out], scalars: [count, classes, temperature, log] }
          },
          ...(message === undefined ? {} : { refuses: new RegExp(message) }),
        }
      }),
    ),
)

export const softmaxTable: ParityTable = {
  cases,
  judge: (call, want, got) => {
    const wanted = want.buffers[1] as Float32Array
    const found = got.buffers[1] as Float32Array
    const log = call.scalars[3] === 1
    return [
      log
        ? elements('out', wanted, found, 'logProbability', (w) => Math.max(1, Math.abs(w)))
        : elements('out', wanted, found, 'probability'),
    ]
  },
  outputs: [1],
}
