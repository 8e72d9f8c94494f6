import { createRequire } from 'node:module'
import { ImagoError } from '@imago/tensor'
import { Command, CommanderError } from 'commander'
import { type Actor, actor } from './act.js'
import { addDemo } from './commands/demo.js'
import { addDistill } from './commands/distill.js'
import { addDoctor } from './commands/doctor.js'
import { addEnsemble } from './commands/ensemble.js'
import { addEvaluate } from './commands/evaluate.js'
import { addExport } from './commands/export.js'
import { addInspect } from './commands/inspect.js'
import { addPaper } from './commands/paper.js'
import { addSpecialists } from './commands/specialists.js'
import { addSynth } from './commands/synth.js'
import { addTeach } from './commands/teach.js'
import { addTrain } from './commands/train.js'
import { exitCode, Interrupted } from './exit-code.js'
import { printable } from './terminal/printable.js'

/**
 * Run the command line `imago …` and return its exit code: 0 done, 1 failed with a sentence on standard error, 2 unusable
 * command line, 3 an effect points the wrong way, 130 or 143 stopped by a signal.
 */
export async function main(argv: readonly string[]): Promise<number> {
  const act = actor()
  try {
    await commandLine(act).parseAsync([...argv], { from: 'user' })
    return act.code()
  } catch (error) {
    return report(error)
  }
}

function commandLine({ act, watch }: Actor): Command {
  const program = new Command('imago')
    .description('Knowledge distillation and model compression for Node: any ONNX teacher into any ONNX student.')
    .version(version(), '--version', 'print the version')
    .showHelpAfterError('(imago --help lists the commands, imago COMMAND --help the options of one)')
    .enablePositionalOptions()
  for (const add of [
    addDemo,
    addTrain,
    addTeach,
    addDistill,
    addEvaluate,
    addInspect,
    addDoctor,
    addPaper,
    addSynth,
    addEnsemble,
    addExport,
    addSpecialists,
  ])
    add(program, act)
  const commands = inside(program)
  for (const command of [program, ...commands]) command.exitOverride()
  for (const command of commands) watch(command)
  return program
}

/** All commands of a command, and theirs. */
function inside(command: Command): Command[] {
  return command.commands.flatMap((one) => [one, ...inside(one)])
}

function version(): string {
  return (createRequire(import.meta.url)('../package.json') as { version: string }).version
}

/** Say what went wrong, once and in one sentence where it is ours; a stack only where it is not. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage
  if (error instanceof Interrupted) {
    process.stderr.write(
      'imago: stopped; the same command goes on from the checkpoint, or begins anew where none was written yet\n',
    )
    return error.signal === 'SIGINT' ? exitCode.interrupted : exitCode.terminated
  }
  process.stderr.write(`imago: ${printable(sentence(error))}\n`)
  return exitCode.failed
}

function sentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // A full disk or a folder without permission: what the system says names the file.
  if (error instanceof ImagoError || 'syscall' in error) return error.message.replace(/^imago: /, '')
  return error.stack ?? error.message
}
