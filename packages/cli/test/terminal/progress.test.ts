import { describe, expect, it } from 'vitest'
import { duration, progress } from '../../src/terminal/progress.js'

function shown(live: boolean): { lines: string[]; advance: (ms: number) => void; view: ReturnType<typeof progress> } {
  const lines: string[] = []
  let time = 0
  const view = progress({ write: (text) => lines.push(text), live, now: () => time, columns: 60 })
  return { lines, view, advance: (ms) => (time += ms) }
}

describe('progress', () => {
  it('rewrites one line on a terminal and never wraps it', () => {
    const { lines, view, advance } = shown(true)
    for (let i = 0; i <= 100; i++) {
      view.update('teacher', i, 100, 'loss 0.123456789 and a detail that is far too long')
      advance(50)
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape that clears a line is what is looked for
    const texts = lines.filter((line) => line !== '\n').map((line) => line.replace(/^\r\u001b\[2K/, ''))
    expect(texts.every((text) => [...text].length < 60)).toBe(true)
    expect(texts.length).toBeLessThan(60)
    expect(texts.at(-1)).toContain('teacher 100/100')
  })

  it('writes whole lines elsewhere, now and then and at the end', () => {
    const { lines, view, advance } = shown(false)
    for (let i = 1; i <= 1000; i++) {
      view.update('student', i, 1000)
      advance(20)
    }
    expect(lines.length).toBeGreaterThanOrEqual(4)
    expect(lines.length).toBeLessThan(8)
    expect(lines.every((line) => line.endsWith('\n') && !line.includes('\u001b'))).toBe(true)
    expect(lines.at(-1)).toContain('1000/1000')
  })

  it('says how long is left from the rate so far', () => {
    const { lines, view, advance } = shown(false)
    view.update('student', 0, 100)
    advance(10_000)
    view.update('student', 25, 100)
    expect(lines.at(-1)).toContain('30 s left')
  })

  it('spells durations', () => {
    expect([999, 61_000, 3_723_000].map(duration)).toEqual(['1 s', '1 min 1 s', '1 h 2 min'])
  })
})
