import { join } from 'node:path'
import { digits } from '@imago/data'
import { type DemoResult, demo, demoProtocol } from '@imago/papers'
import { claimRunFolder, type JsonObject } from '@imago/trainer'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { demoReport, demoTable } from '../report/demo-report.js'
import { page } from '../report/page.js'
import { followRecipe } from '../run/follow-recipe.js'
import { duration } from '../terminal/progress.js'
import { table } from '../terminal/table.js'
import { whole, wholes } from '../values.js'

interface DemoCommandOptions {
  readonly out: string
  readonly seeds: number[]
  readonly threads: number
  readonly json?: boolean
}

export function addDemo(program: Command, act: Act): void {
  program
    .command('demo')
    .description(
      'train a teacher, train a small student on labels, distil the same student, and compare them, on drawn digits',
    )
    .option('--out <folder>', 'the run folder; the same command goes on where it stopped', join('runs', 'demo'))
    .option('--seeds <list>', 'one run for each seed', wholes(0), [1])
    .option('--threads <n>', 'threads of ONNX Runtime', whole(1), 2)
    .option('--json', 'print the results as JSON')
    .option('--quiet', 'no progress')
    .addHelpText('after', '\nExamples:\n  imago demo\n  imago demo --seeds 1,2,3,4,5 --json\n')
    .action(act(demoCommand))
}

async function demoCommand(context: Context, options: DemoCommandOptions): Promise<undefined> {
  const started = context.now()
  const results: DemoResult[] = []
  for (const seed of options.seeds) results.push(await one(context, options, seed))
  if (options.json) context.out(JSON.stringify(results, null, 2))
  else {
    for (const result of results)
      context.out(`${results.length > 1 ? `seed ${result.seed}\n` : ''}\n${table(demoTable(result))}\n`)
    const [first] = results
    context.out(
      `The student on labels makes ${first!.ratio.toFixed(2)} times the teacher's errors; distillation closes ${(100 * first!.gapClosed).toFixed(0)} % of the gap.`,
    )
    context.out(`Teacher, students, metrics.jsonl and report.html are in ${folderOf(options, options.seeds[0]!)}`)
    context.note(`all of it took ${duration(context.now() - started)}`)
  }
}

function folderOf({ out, seeds }: DemoCommandOptions, seed: number): string {
  return seeds.length === 1 ? out : join(out, `seed-${seed}`)
}

async function one(context: Context, options: DemoCommandOptions, seed: number): Promise<DemoResult> {
  const config = JSON.parse(JSON.stringify({ recipe: 'demo', seed, protocol: demoProtocol })) as JsonObject
  const folder = await claimRunFolder(folderOf(options, seed), config)
  try {
    const { train, test } = demoProtocol
    const result = await followRecipe(
      demo({
        data: digits({ seed, train, test }),
        folder,
        seed,
        threads: options.threads,
        signal: context.signal,
        clock: context.now,
      }),
      context,
    )
    await folder.write('result.json', `${JSON.stringify(result, null, 2)}\n`)
    await folder.write('report.html', page(demoReport(result)))
    return result
  } finally {
    await folder.release()
  }
}
