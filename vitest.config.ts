import { defineConfig } from 'vitest/config'

// Tests import package sources, so that no build is needed before them; published packages answer to `dist` instead.
const conditions = ['@imago/source', 'node', 'import', 'module', 'default']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    // Tests do not time: this only ends what hangs, also on a machine that has other things to do.
    testTimeout: 300_000,
    hookTimeout: 120_000,
    projects: [
      { extends: true, test: { name: 'unit', include: ['packages/*/test/**/*.test.ts', 'native/test/**/*.test.ts'] } },
      { extends: true, test: { name: 'house', include: ['test/**/*.test.ts'], exclude: ['**/node_modules/**'] } },
    ],
  },
})
