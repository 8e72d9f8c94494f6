import { basename } from 'node:path'
import type { Model } from '@imago/onnx'
import type { JsonObject } from '@imago/trainer'

/** What a file that imago wrote says of itself (metadata_props of ONNX): names of its entries. */
export const properties = {
  /** SHA-256 of the teacher's file; with several a JSON list. */
  teacher: 'imago.teacher',
  /** The settings of the run as JSON, in which `student` is the SHA-256 of the file that was trained. */
  recipe: 'imago.recipe',
  /** Errors on test rows and agreement, as JSON. */
  metrics: 'imago.metrics',
  /** How `imago export` made it, as JSON: the SHA-256 of the file that it was made from. */
  export: 'imago.export',
  license: 'license',
} as const

/** The model with entries set; all others that it has stay. */
export function withProperties(model: Model, entries: { readonly [name: string]: string }): Model {
  return { ...model, metadata: new Map([...model.metadata, ...Object.entries(entries)]) }
}

/** The entries of a trained student. Folders of the machine that it was trained on are left out of them. */
export function trainedProperties(run: {
  readonly config: JsonObject
  readonly metrics: JsonObject
  readonly teachers?: readonly string[]
  readonly license?: string
}): { readonly [name: string]: string } {
  const { config, metrics, teachers, license } = run
  const named = (key: string, value: unknown): unknown =>
    files.has(key) && typeof value === 'string' ? fileNames(value) : value
  return {
    ...(teachers && { [properties.teacher]: teachers.length === 1 ? teachers[0]! : JSON.stringify(teachers) }),
    [properties.recipe]: JSON.stringify(config, named),
    [properties.metrics]: JSON.stringify(metrics),
    ...(license !== undefined && { [properties.license]: license }),
  }
}

/** Options of a run that are paths. */
const files = new Set(['data', 'transfer', 'schema', 'encoder'])

/** Paths with commas between them without their folders. */
function fileNames(text: string): string {
  return text
    .split(',')
    .map((path) => basename(path))
    .join(',')
}
