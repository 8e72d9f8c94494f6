/** Rows of cells as aligned text: numbers to the right, everything else to the left. The first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((most, row) => Math.max(most, width(row[column] ?? '')), 0),
  )
  const rightward = widths.map((_, column) =>
    rows.slice(1).every((row) => /^[-+–]?[\d.,]|^–?$/.test(row[column] ?? '')),
  )
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const pad = ' '.repeat(widths[column]! - width(cell))
        return rightward[column] ? pad + cell : cell + pad
      })
      .join('  ')
      .trimEnd()
  const [head = [], ...body] = rows
  return [line(head), widths.map((size) => '─'.repeat(size)).join('  '), ...body.map(line)].join('\n')
}

function width(text: string): number {
  return [...text].length
}
