/** Those of the named options that were given. */
export function given<Options extends object, Name extends keyof Options>(
  options: Options,
  ...names: readonly Name[]
): { [K in Name]?: Exclude<Options[K], undefined> } {
  const out: { [K in Name]?: Exclude<Options[K], undefined> } = {}
  for (const name of names)
    if (options[name] !== undefined) out[name] = options[name] as Exclude<Options[Name], undefined>
  return out
}
