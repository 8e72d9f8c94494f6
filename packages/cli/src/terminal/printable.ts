/**
 * Text for a terminal: names of models, values and files come from anywhere, and an escape sequence in one could rewrite the screen, a
 * mark of direction the reading of it. Such characters are shown as `\u` and four digits, which JSON reads as what it was; newlines and tabs stay.
 */
export function printable(text: string): string {
  return text.replace(
    /(?![\n\t])[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
