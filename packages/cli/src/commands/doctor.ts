import { availableParallelism, cpus } from 'node:os'
import { findMnist } from '@imago/data'
import { backends, native } from '@imago/kernels'
import { runtimeReport } from '@imago/runtime'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { exitCode } from '../exit-code.js'
import { cacheFolder } from '../run/open-data.js'

/** The one finding without which nothing runs. */
const runtimeItself = 'ONNX Runtime'

/** One thing that was looked at. */
interface Finding {
  readonly what: string
  readonly ok: boolean
  readonly found: string
  /** What to do where it is not ok. */
  readonly remedy?: string
}

export function addDoctor(program: Command, act: Act): void {
  program
    .command('doctor')
    .description('what works here, and why not what does not')
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', '\nExamples:\n  imago doctor\n  imago doctor --json\n')
    .action(act(doctor))
}

async function doctor(context: Context, options: { json?: boolean }): Promise<number> {
  const findings = [node(), ...kernels(), ...(await runtime()), await data(context)]
  if (options.json) context.out(JSON.stringify(findings, null, 2))
  else
    for (const { what, ok, found, remedy } of findings)
      context.out(`${ok ? 'ok  ' : 'no  '} ${what}: ${found}${ok || remedy === undefined ? '' : `\n     → ${remedy}`}`)
  return findings.some(({ what, ok }) => !ok && what === runtimeItself) ? exitCode.failed : exitCode.ok
}

function node(): Finding {
  const cpu = cpus()[0]?.model.trim() ?? 'unknown processor'
  return {
    what: 'Node',
    ok: true,
    found: `${process.version} on ${process.platform}-${process.arch}, ${availableParallelism()} threads, ${cpu}`,
  }
}

function kernels(): Finding[] {
  const { attempts, off } = native()
  const tried = attempts.map(({ path, reason }) => `${path ?? 'loader'}: ${reason ?? 'loaded'}`).join('; ')
  return backends().map(({ name, available, chosen, reason, isa, isas, threads }) => ({
    what: `kernels, ${name}`,
    ok: available,
    found: available
      ? [chosen ? 'in use' : 'available', isa && `${isa} (of ${isas?.join(', ')})`, threads && `${threads} threads`]
          .filter(Boolean)
          .join(', ')
      : (reason ?? 'not available'),
    ...(name === 'cpu' && {
      remedy: off
        ? 'unset IMAGO_NATIVE'
        : `build the addon (npm run build, needs a C++ compiler and CMake) or install the platform package; tried ${tried}`,
    }),
  }))
}

async function runtime(): Promise<Finding[]> {
  const { version, reason: why, providers } = await runtimeReport()
  const itself: Finding = {
    what: runtimeItself,
    ok: why === undefined,
    found: why ?? `version ${version}`,
    remedy: 'ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node',
  }
  const each = providers.map(({ name, available, reason }) => ({
    what: `${runtimeItself}, ${name}`,
    ok: available,
    found: available ? 'a session runs' : (reason ?? 'not available'),
  }))
  return [itself, ...each]
}

async function data({ env }: Context): Promise<Finding> {
  const folder = env.IMAGO_DATA_DIR
  const cache = cacheFolder(env)
  const found = (folder !== undefined && (await findMnist(folder))) || (await findMnist(cache))
  if (found) return { what: 'MNIST', ok: true, found: found.trainImages }
  return {
    what: 'MNIST',
    ok: false,
    found: `not below ${folder ?? 'IMAGO_DATA_DIR, which is not set,'} nor in the cache ${cache}`,
    remedy: 'set IMAGO_DATA_DIR to the folder that holds mnist/, or let `imago paper` download it',
  }
}
