/** The first key that an object in a JSON text has twice (JSON.parse would take the last of them), as a path; undefined where there is none. */
export function repeatedKey(text: string): string | undefined {
  const path: (string | undefined)[] = []
  const seen: (Set<string> | undefined)[] = []
  // Strings and brackets are all that matters in a text that has been parsed; a string before a colon is a key.
  for (const [token, key] of text.matchAll(/("(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token === '{' || token === '[') {
      seen.push(token === '{' ? new Set() : undefined)
      path.push(undefined)
    } else if (token === '}' || token === ']') {
      seen.pop()
      path.pop()
    } else if (key !== undefined) {
      const name = JSON.parse(key) as string
      path[path.length - 1] = name
      const names = seen.at(-1)!
      if (names.has(name)) return path.filter((part) => part !== undefined).join('.')
      names.add(name)
    }
  }
  return undefined
}
