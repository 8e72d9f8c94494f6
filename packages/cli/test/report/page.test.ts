import { describe, expect, it } from 'vitest'
import { page } from '../../src/report/page.js'

const hostile = [
  '</script><script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  '<!--',
  '\u2028\u202e',
  "javascript:alert('x')",
  '</title>',
]

describe('page', () => {
  const report = (name: string): string =>
    page({
      title: name,
      summary: [name],
      tables: [
        {
          title: name,
          rows: [
            [name, 'errors'],
            [name, '1'],
          ],
        },
      ],
      charts: [
        {
          title: name,
          x: name,
          y: name,
          series: [
            {
              name,
              points: [
                [0, 1],
                [1, 0.5],
              ],
            },
          ],
        },
      ],
      facts: { [name]: name },
    })

  it.each(hostile)('shows %s as text', (name) => {
    const html = report(name)
    const tags = new Set([...html.matchAll(/<\/?([a-z0-9!-]+)/gi)].map(([, tag]) => tag!.toLowerCase()))
    expect(tags.has('script') || tags.has('img') || html.includes('<!--')).toBe(false)
    expect(html.replace(/"[^"]*"/g, '')).not.toMatch(/<[^>]*\son\w+=/i)
    expect((html.match(/<title>/g) ?? []).length).toBe(1)
  })

  it('loads nothing and forbids to', () => {
    const html = report('plain')
    expect(html).toContain(`content="default-src 'none'`)
    expect(html).not.toMatch(/\s(src|href)="(?!data:,")/)
    expect(html).not.toMatch(/https?:/)
  })

  it('stays small and finite with NaN, infinity, no values and a million points', () => {
    const points = Array.from({ length: 1_000_000 }, (_, i) => [i, i % 1000 === 0 ? Number.NaN : Math.sin(i)] as const)
    const html = page({
      title: 'long',
      summary: [],
      tables: [],
      charts: [
        { title: 'long', x: 'step', y: 'loss', series: [{ name: 'a', points }] },
        { title: 'none', x: 'step', y: 'loss', series: [{ name: 'a', points: [[0, Number.POSITIVE_INFINITY]] }] },
        { title: 'flat', x: 'step', y: 'loss', series: [{ name: 'a', points: [[3, 0]] }] },
      ],
      facts: {},
    })
    expect(html.length).toBeLessThan(100_000)
    expect(html).not.toMatch(/NaN|Infinity|undefined/)
    expect(html).toContain('No values.')
  })
})
