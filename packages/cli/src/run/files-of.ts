import { existsSync } from 'node:fs'
import { ArgumentError } from '@imago/tensor'

/** Files with commas between; one whose own name has a comma is that file. */
export function filesOf(option: string, text: string): string[] {
  if (!text.includes(',') || existsSync(text)) return [text]
  const files = text.split(',').map((file) => file.trim())
  if (files.includes('')) throw new ArgumentError('imago', option, 'files with one comma between two', text)
  return files
}
