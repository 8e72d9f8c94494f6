import { readFileSync } from 'node:fs'
import { decode, type Model } from '../src/index.js'

const folder = new URL('./golden/', import.meta.url)

export function goldenBytes(name: string): Uint8Array {
  const bytes = readFileSync(new URL(name, folder))
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}

export function goldenModel(name: string): Model {
  return decode(goldenBytes(name), { name })
}

export function goldenJson<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as T
}

export const goldenModels = [
  'attention-11',
  'attention-17',
  'attention-20',
  'convolutional-9',
  'convolutional-17',
  'depthwise-17',
  'misc-9',
  'misc-17',
  'misc-18',
  'mlp-17',
  'old-8',
].map((name) => `${name}.onnx`)
