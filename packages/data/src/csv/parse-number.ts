const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

/** A decimal number; NaN for everything else (`0x1F`, `1,5`, `1_000`, `NaN`, white space). What float64 cannot hold is ±Infinity. */
export function parseNumber(text: string): number {
  return decimal.test(text) ? Number(text) : Number.NaN
}
