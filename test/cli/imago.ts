import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { drawDigits } from '@imago/data'
import { rng } from '@imago/tensor'

const bin = fileURLToPath(new URL('../../packages/cli/bin/imago.js', import.meta.url))

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The command line as a user has it: the committed bin over the built packages, no terminal. */
export function imago(args: readonly string[], cwd: string = folder()): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    cwd,
    encoding: 'utf8',
    env: environment(),
  })
  return { status, stdout, stderr }
}

/** The same, to be sent a signal while it runs: `whenSaid` fires once its standard error holds the text. */
export function startImago(
  args: readonly string[],
  cwd: string,
  whenSaid: RegExp,
  signal: NodeJS.Signals,
): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [bin, ...args], { cwd, env: environment() })
    let [stdout, stderr, sent] = ['', '', false]
    child.stdout.on('data', (text: Buffer) => {
      stdout += text
    })
    child.stderr.on('data', (text: Buffer) => {
      stderr += text
      if (!sent && whenSaid.test(stderr)) {
        sent = true
        child.kill(signal)
      }
    })
    child.on('close', (status) => resolve({ status, stdout, stderr }))
  })
}

/** An empty folder of its own. */
export function folder(): string {
  return mkdtempSync(join(tmpdir(), 'imago-cli-'))
}

/** A few drawn digits as a folder of IDX files: 400 rows to learn from, 200 to count errors on. */
export function writeDigits(path: string): void {
  mkdirSync(path)
  for (const [part, count] of [
    ['train', 400],
    ['t10k', 200],
  ] as const) {
    const { images, labels } = drawDigits({ count, rng: rng(1).split(part) })
    writeFileSync(join(path, `${part}-images-idx3-ubyte`), idx([count, 28, 28], images.data))
    writeFileSync(join(path, `${part}-labels-idx1-ubyte`), idx([count], Uint8Array.from(labels.data)))
  }
}

function idx(dims: readonly number[], data: Uint8Array): Uint8Array {
  const sizes = dims.flatMap((dim) => [dim >>> 24, (dim >>> 16) & 255, (dim >>> 8) & 255, dim & 255])
  return Uint8Array.from([0, 0, 8, dims.length, ...sizes, ...data])
}

function environment(): NodeJS.ProcessEnv {
  const { IMAGO_DATA_DIR: _, NODE_OPTIONS: __, ...rest } = process.env
  return { ...rest, NO_COLOR: '1' }
}
