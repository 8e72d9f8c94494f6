import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hinton2015MnistDefaults as defaults, type HintonMnistResult, hinton2015Mnist } from '@imago/papers'
import { NotFoundError } from '@imago/tensor'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { exitCode } from '../exit-code.js'
import { mnistReport } from '../report/mnist-report.js'
import { page } from '../report/page.js'
import { followRecipe } from '../run/follow-recipe.js'
import { openData } from '../run/open-data.js'
import { table } from '../terminal/table.js'
import { oneOf, real, reals, whole, wholes } from '../values.js'

interface PaperOptions {
  readonly out?: string
  readonly dataDir?: string
  readonly fast?: boolean
  readonly epochs?: number
  readonly teacherEpochs?: number
  readonly seeds?: number[]
  readonly rates?: number[]
  readonly selectionEpochs?: number
  readonly optimizer?: 'adamw' | 'sgd'
  readonly schedule?: 'cosine' | 'constant'
  readonly temperature?: number
  readonly hardWeight?: number
  readonly ablation: boolean
  readonly threads: number
  readonly json?: boolean
}

export function addPaper(program: Command, act: Act): void {
  program
    .command('paper <recipe>')
    .description('a table of a paper as a run: hinton-2015/mnist')
    .option(
      '--out <folder>',
      'the run folder (default runs/RECIPE); the same command goes on, a second process shares the work',
    )
    .option('--data-dir <folder>', 'where the data lies (default: $IMAGO_DATA_DIR, else the cache, else a download)')
    .option('--fast', 'few epochs, one seed: whether the effects point the right way, in ≤ 15 minutes on 2 cores')
    .option('--epochs <n>', `passes over the training set (default ${defaults.epochs})`, whole(1))
    .option('--teacher-epochs <n>', 'passes for teachers (default: as --epochs)', whole(1))
    .option('--seeds <list>', `seeds (default ${defaults.seeds.join(',')})`, wholes(0))
    .option(
      '--rates <list>',
      `learning rates to choose from (default ${defaults.rates.join(',')})`,
      reals(0, Number.MAX_VALUE, true),
    )
    .option(
      '--selection-epochs <n>',
      `epochs of each trial of a rate, 0 for none (default ${defaults.selectionEpochs})`,
      whole(0),
    )
    .option('--optimizer <name>', 'adamw or sgd', oneOf('adamw', 'sgd'))
    .option(
      '--schedule <name>',
      `rate of students: cosine or constant (default ${defaults.schedule})`,
      oneOf('cosine', 'constant'),
    )
    .option(
      '--temperature <T>',
      `temperature of the soft targets (default ${defaults.temperature})`,
      real(0, Number.MAX_VALUE, true),
    )
    .option('--hard-weight <a>', `share of the labels (default ${defaults.hardWeight})`, real(0, 1))
    .option('--no-ablation', 'leave out the table of epochs, shares, rates and temperatures')
    .option('--threads <n>', 'threads of ONNX Runtime', whole(1), 2)
    .option('--config <file>', 'options from a .json or .mjs file, in camelCase; the command line wins')
    .option('--json', 'print the result as JSON')
    .option('--quiet', 'no progress')
    .addHelpText(
      'after',
      `
Examples:
  imago paper hinton-2015/mnist --fast
  imago paper hinton-2015/mnist --epochs 60 --seeds 1,2,3 --out runs/mnist
`,
    )
    .action(act(paper))
}

const recipes = ['hinton-2015/mnist']

async function paper(context: Context, options: PaperOptions, recipe: string): Promise<number> {
  if (!recipes.includes(recipe))
    throw new NotFoundError(`there is no recipe "${recipe}"`, `There is ${recipes.join(', ')}`)
  const data = await openData(context, {
    data: 'mnist',
    ...(options.dataDir !== undefined && { dataDir: options.dataDir }),
  })
  const runDir = options.out ?? join('runs', recipe)
  const { out: _, json: __, dataDir: ___, ablation, fast, ...rest } = options
  const result = await followRecipe(
    hinton2015Mnist({
      ...rest,
      ...(fast && { fast }),
      ...(ablation ? {} : { ablation }),
      data,
      runDir,
      signal: context.signal,
      clock: context.now,
    }),
    context,
  )
  const report = mnistReport(result)
  await save(join(runDir, 'result.json'), `${JSON.stringify(result, null, 2)}\n`)
  await save(join(runDir, 'report.html'), page(report))
  if (options.json) context.out(JSON.stringify(result, null, 2))
  else {
    for (const { title, rows } of report.tables) context.out(`${title}\n\n${table(rows)}\n`)
    context.out(`report ${join(runDir, 'report.html')}`)
  }
  return result.effects.every(({ holds }: HintonMnistResult['effects'][number]) => holds)
    ? exitCode.ok
    : exitCode.effect
}

/** Whole or not at all; another process of the same run may write the same file. */
async function save(path: string, text: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true })
  const partial = `${path}.${process.pid}.partial`
  await writeFile(partial, text)
  await rename(partial, path)
}
