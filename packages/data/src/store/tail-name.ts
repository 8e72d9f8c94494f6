/** The name under which targets carry the tail at temperature T: a tail is that of one temperature, and says so. */
export function tailName(temperature: number): string {
  return `logTail@${temperature}`
}
