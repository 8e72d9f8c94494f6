import { existsSync } from 'node:fs'
import { arithmetic, type Combine, ensemble, geometric } from '@imago/ensembles'
import { readModel } from '@imago/onnx'
import { type Predictor, type PredictorOptions, predictor } from '@imago/runtime'
import { ArgumentError, type Predict, StateError } from '@imago/tensor'
import { kindOf, openCombined, readCombinedFile } from '../specialists/combined-file.js'
import { readEnsembleFile } from './ensemble-file.js'
import { filesOf } from './files-of.js'
import { digestOf } from './student-model.js'

export interface TeacherOptions {
  /** A file, several with commas between, or what `imago ensemble select` or `imago specialists combine` has written. */
  readonly teacher: string
  readonly combine?: 'geometric' | 'arithmetic'
  readonly temperature: number
}

export interface Teachers {
  /** What classifies: one teacher, or the ensemble at T = 1. */
  readonly predictor: Predictor
  /** What the student learns from at the run's temperature. */
  readonly targets: Predict
  /** What makes these teachers others than those of another run. */
  readonly config: { readonly teacher: string | string[]; readonly combine?: string; readonly weights?: number[] }
}

/**
 * The teachers that `--teacher` names, as one. Their arithmetic mean is one distribution at the temperature of the loss and another at
 * 1, where the ensemble's errors are counted; the geometric mean is the same logits at both.
 */
export async function openTeachers(options: TeacherOptions, settings: PredictorOptions): Promise<Teachers> {
  if (/\.json$/i.test(options.teacher) && (await kindOf(options.teacher)) === 'specialists')
    return withSpecialists(options, settings)
  const selected = /\.json$/i.test(options.teacher) ? await readEnsembleFile(options.teacher, existsSync) : undefined
  const files = selected ? selected.members.map(({ file }) => file) : filesOf('--teacher', options.teacher)
  if (selected && options.combine !== undefined)
    throw new ArgumentError('imago', '--combine', `left out: ${options.teacher} says how`, options.combine)
  if (files.length === 1 && options.combine !== undefined)
    throw new ArgumentError('imago', '--combine', 'left out where there is one teacher', options.combine)
  if (files.length > 1 && settings.also)
    throw new ArgumentError('imago', '--hint', 'left out where several teachers are averaged', '--hint')
  const opened: Predictor[] = []
  const digests: string[] = []
  const dispose = async (): Promise<void> => {
    for (const one of opened) await one.dispose()
  }
  try {
    for (const file of files) {
      const model = await readModel(file)
      const digest = digestOf(model)
      const wanted = selected?.members[digests.length]?.sha256
      if (wanted !== undefined && wanted !== digest)
        throw new StateError(`${file} is not the model that ${options.teacher} was chosen from`, 'Select again')
      digests.push(digest)
      opened.push(await predictor(model, { ...settings, name: file }))
    }
  } catch (error) {
    await dispose()
    throw error
  }
  if (files.length === 1) return { predictor: opened[0]!, targets: opened[0]!, config: { teacher: digests[0]! } }
  const combine = selected?.average ?? options.combine ?? 'geometric'
  const shares = selected && { weights: selected.members.map(({ weight }) => weight) }
  const at = (temperature: number): Predict => {
    const how: Combine = combine === 'geometric' ? geometric({ ...shares }) : arithmetic({ temperature, ...shares })
    return ensemble(opened, how, { names: files })
  }
  const whole = Object.assign(at(1), { dispose })
  // Not by Object.assign: members' notes grow until their first rows have come out.
  Object.defineProperty(whole, 'notes', {
    get: () => opened.flatMap(({ notes }, i) => notes.map((note) => `${files[i]}: ${note}`)),
  })
  return {
    predictor: whole as unknown as Predictor,
    targets: at(options.temperature),
    config: { teacher: digests, combine, ...shares },
  }
}

/** A generalist with its specialists; q^(1/T), normalised, is what a student at T sees. */
async function withSpecialists({ teacher, combine }: TeacherOptions, settings: PredictorOptions): Promise<Teachers> {
  if (combine !== undefined) throw new ArgumentError('imago', '--combine', `left out: ${teacher} says how`, combine)
  if (settings.map !== undefined || settings.output !== undefined)
    throw new ArgumentError('imago', '--teacher-input, --teacher-output', `left out: ${teacher} says how`, 'given')
  const combined = await readCombinedFile(teacher)
  const { predictor: whole, digests } = await openCombined(teacher, combined, {
    ...(settings.threads && { threads: settings.threads }),
  })
  return {
    predictor: whole,
    targets: whole,
    config: { teacher: [...digests], combine: `eq. 5, top ${combined.topN}` },
  }
}
