import type { Dataset } from '@imago/data'
import type { Student } from '@imago/runtime'
import { ArgumentError } from '@imago/tensor'
import { evaluationBatches } from './training.js'

/**
 * Hold the labels of a data set against the student's classes before anything is trained or written: a loss would meet a label
 * that is no class in the middle of an epoch, and soft targets alone never.
 *
 * @throws ArgumentError naming a row
 */
export async function checkLabels(rows: Dataset, student: Student, data: string): Promise<void> {
  if (rows.classes === undefined) return
  const { logits } = await student.predict(student.parameters)(rows.rows(Uint32Array.of(0)).inputs)
  const classes = logits!.dims.at(-1)!
  if (rows.classes <= classes) return
  for await (const { ids, labels = new Int32Array() } of evaluationBatches(rows).epoch(0)) {
    const at = labels.findIndex((label) => label >= classes)
    if (at >= 0)
      throw new ArgumentError(
        'imago',
        `--data ${data}`,
        `labelled with classes 0 … ${classes - 1}, as many as the student has (correct row ${ids[at]}, or take a student with more outputs)`,
        labels[at],
      )
  }
}
