import type { Command } from 'commander'
import { readConfigFile } from './config-file.js'
import { type Context, processContext } from './context.js'
import { exitCode } from './exit-code.js'

/** What a command does: gets the world, its options and its arguments; returns an exit code where that is not 0. */
export type Handler<Options> = (context: Context, options: Options, ...args: string[]) => Promise<number | undefined>

/** Makes a commander action of a handler: options from the config file filled in, context made and released. */
export type Act = <Options>(handler: Handler<Options>) => (...parameters: unknown[]) => Promise<void>

export function actor(): { act: Act; code: () => number } {
  let code: number = exitCode.ok
  const act: Act =
    (handler) =>
    async (...parameters) => {
      const command = parameters.at(-1) as Command
      const options = await filled(command)
      const { context, release } = processContext(options.quiet === true)
      try {
        code = (await handler(context, options as never, ...(command.args as string[]))) ?? exitCode.ok
      } finally {
        release()
      }
    }
  return { act, code: () => code }
}

/** The command's options; those that the command line left at their defaults are taken from `--config`, where it has them. */
async function filled(command: Command): Promise<{ [name: string]: unknown }> {
  const options: { [name: string]: unknown } = { ...command.opts() }
  if (typeof options.config !== 'string') return options
  const known = command.options.map((option) => option.attributeName()).filter((name) => name !== 'config')
  const file = await readConfigFile(options.config, known)
  for (const option of command.options) {
    const name = option.attributeName()
    const source = command.getOptionValueSource(name)
    if (!(name in file) || (source !== undefined && source !== 'default')) continue
    const value = file[name]
    options[name] =
      option.parseArg && typeof value !== 'boolean' ? option.parseArg(spelled(value), undefined as never) : value
  }
  return options
}

/** A value as it would stand on the command line, so that both ways go through the same checks. */
function spelled(value: unknown): string {
  return typeof value === 'object' ? (Array.isArray(value) ? value.join(',') : JSON.stringify(value)) : String(value)
}
