import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

/** A process of its own needs JavaScript: a child and the sources it imports, in one file. */
export async function bundled(child: string, file: string): Promise<string> {
  const bundle = await rolldown({
    input: fileURLToPath(new URL(child, import.meta.url)),
    platform: 'node',
    resolve: { conditionNames: ['@imago/source', 'node', 'import', 'module', 'default'] },
    logLevel: 'silent',
  })
  await bundle.write({ file, format: 'esm', codeSplitting: false })
  return file
}

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly out: string
  readonly errors: string
}

/** Run a command to its end; `seen` gets its lines as they come. */
export async function ran(
  command: readonly string[],
  seen: (lines: number, kill: () => void) => void = () => undefined,
): Promise<Ended> {
  const [program, ...args] = command
  const child = spawn(program!, args, { env: { ...process.env, IMAGO_NATIVE: 'off', UV_THREADPOOL_SIZE: '1' } })
  let [out, errors] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk
    seen(out.split('\n').length - 1, () => child.kill('SIGKILL'))
  })
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { code, signal, out, errors }
}
