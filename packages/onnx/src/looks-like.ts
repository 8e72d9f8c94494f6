/** What a stretch of bytes that is no ONNX model seems to be, or undefined. */
export function looksLike(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return 'an empty file'
  const head = String.fromCharCode(...bytes.subarray(0, 512))
  for (const [start, what] of signatures) if (head.startsWith(start)) return what
  if (/^\s*(<!doctype html|<html|<\?xml|<!--)/i.test(head.replace(/^\xef\xbb\xbf/, ''))) return 'an HTML or XML page'
  if (head.startsWith('version https://git-lfs')) return 'a Git LFS pointer (run git lfs pull)'
  if (head.slice(4, 8) === 'TFL3') return 'a TensorFlow Lite model'
  if (head.slice(8, 9) === '{' && bytes.length > 16) return 'a safetensors file'
  if (/^\s*[[{]/.test(head)) return 'a JSON text'
  if (/^[\t\n\r\x20-\x7e]+$/.test(head)) return 'a text file'
  return undefined
}

const signatures: readonly (readonly [start: string, what: string])[] = [
  ['PK\x03\x04', 'a ZIP archive (a PyTorch .pt file is one; export it to ONNX)'],
  ['PK\x05\x06', 'an empty ZIP archive'],
  ['\x1f\x8b', 'a gzip file; unpack it first'],
  ['\x28\xb5\x2f\xfd', 'a zstd file; unpack it first'],
  ['\x89HDF', 'an HDF5 file (Keras); export it to ONNX'],
  ['\x80\x02', 'a Python pickle'],
  ['\x80\x04', 'a Python pickle'],
  ['\x93NUMPY', 'a NumPy array'],
  ['\x89PNG', 'a PNG image'],
  ['\xff\xd8\xff', 'a JPEG image'],
  ['%PDF', 'a PDF document'],
  ['GGUF', 'a GGUF model'],
  ['\x7fELF', 'a program'],
]
