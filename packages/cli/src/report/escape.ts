const entities: { readonly [character: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text for HTML and SVG: names of models, classes and files come from anywhere. Control characters but newline and tab go. */
export function escapeText(text: string): string {
  return text
    .replace(/[&<>"']/g, (character) => entities[character]!)
    .replace(/(?![\n\t])[\p{Cc}\u2028\u2029]/gu, '\ufffd')
}
