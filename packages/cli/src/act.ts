import { ArgumentError, NotFoundError } from '@imago/tensor'
import { type Command, CommanderError, type Option } from 'commander'
import { readConfigFile } from './config-file.js'
import { type Context, processContext } from './context.js'
import { exitCode } from './exit-code.js'

/** What a command does: gets the world, its options and its arguments; returns an exit code where that is not 0. */
export type Handler<Options> = (context: Context, options: Options, ...args: string[]) => Promise<number | undefined>

/** Makes a commander action of a handler: options from the config file filled in, context made and released. */
export type Act = <Options>(handler: Handler<Options>) => (...parameters: unknown[]) => Promise<void>

export interface Actor {
  readonly act: Act
  /** Let a config file give the options that the command cannot do without: commander asks for them before it is read. */
  readonly watch: (command: Command) => void
  readonly code: () => number
}

export function actor(): Actor {
  let code: number = exitCode.ok
  const needed = new Map<Command, readonly Option[]>()
  const act: Act =
    (handler) =>
    async (...parameters) => {
      const command = parameters.at(-1) as Command
      const options = await filled(command, needed.get(command) ?? [])
      const { context, release } = processContext(options.quiet === true)
      try {
        code = (await handler(context, options as never, ...(command.args as string[]))) ?? exitCode.ok
      } finally {
        release()
      }
    }
  const watch = (command: Command): void => {
    needed.set(
      command,
      command.options.filter(({ mandatory }) => mandatory),
    )
    command.on('option:config', () => {
      for (const option of needed.get(command)!) option.mandatory = false
    })
  }
  return { act, watch, code: () => code }
}

type Options = { [name: string]: unknown }

/** The command's options; those that the command line left at their defaults are taken from `--config`, where it has them. */
async function filled(command: Command, needed: readonly Option[]): Promise<Options> {
  const options: Options = { ...command.opts() }
  if (typeof options.config !== 'string') return options
  const known = command.options.map((option) => option.attributeName()).filter((name) => name !== 'config')
  const file = await readConfigFile(options.config, known)
  for (const option of command.options) {
    const name = option.attributeName()
    const source = command.getOptionValueSource(name)
    if (!(name in file) || (source !== undefined && source !== 'default')) continue
    options[name] = readValue(option, file[name], `${options.config}: ${name}`)
  }
  const missing = needed.find((option) => options[option.attributeName()] === undefined)
  if (missing)
    throw new NotFoundError(`${missing.flags} is missing`, `Give it on the command line or in the config file`)
  return options
}

/** A value of the file, through the same checks as on the command line. */
function readValue(option: Option, value: unknown, where: string): unknown {
  if (!option.required) {
    if (typeof value !== 'boolean') throw new ArgumentError('imago', where, 'true or false', value)
    return value
  }
  if (typeof value === 'boolean' || value === null) throw new ArgumentError('imago', where, 'a value', value)
  try {
    return option.parseArg ? option.parseArg(spelled(value), undefined as never) : spelled(value)
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    throw new ArgumentError('imago', where, error.message.replace(/^It must be (.*?)\.?$/, '$1'), value)
  }
}

/** A value as it would stand on the command line. */
function spelled(value: unknown): string {
  return typeof value === 'object' ? (Array.isArray(value) ? value.join(',') : JSON.stringify(value)) : String(value)
}
