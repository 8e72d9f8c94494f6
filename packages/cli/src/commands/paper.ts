import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hinton2015MnistDefaults as defaults } from '@imago/papers'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { exitCode } from '../exit-code.js'
import { recipeFor, recipes } from '../papers/index.js'
import type { PaperOptions } from '../papers/paper-recipe.js'
import { page } from '../report/page.js'
import { table } from '../terminal/table.js'
import { oneOf, real, reals, whole, wholes, words } from '../values.js'

export function addPaper(program: Command, act: Act): void {
  program
    .command('paper <recipe>')
    .description(`a table of a paper as a run: ${recipes.map(({ name }) => name).join(', ')}`)
    .option(
      '--out <folder>',
      'the run folder (default runs/RECIPE); the same command goes on, a second process shares the work',
    )
    .option('--data-dir <folder>', 'where the data lies (default: $IMAGO_DATA_DIR, else the cache, else a download)')
    .option('--fast', 'few epochs, one seed: whether the effects point the right way, in ≤ 10 minutes on 2 cores')
    .option('--epochs <n>', `passes over the training set (default ${defaults.epochs})`, whole(1))
    .option('--teacher-epochs <n>', 'passes for teachers (default: as --epochs)', whole(1))
    .option('--student-epochs <n>', 'passes for distilled nets, where a recipe tells them apart', whole(1))
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
    .option('--data <list>', 'data sets of recipes that have several', words)
    .option(
      '--temperatures <list>',
      'temperatures to compare, where a recipe compares several',
      reals(0, Number.MAX_VALUE, true),
    )
    .option('--hidden <list>', 'hinton-2015/speech: units of the hidden layers', wholes(1))
    .option('--members <n>', 'hinton-2015/speech: nets in the ensemble; bucila-2006: in the library', whole(2))
    .option('--students <n>', 'hinton-2015/speech: distilled nets at the chosen temperature', whole(1))
    .option('--splits <list>', 'hinton-2015/speech: `official`, speakers to leave out', words)
    .option('--omit <digits>', 'hinton-2015/mnist: a transfer set without these digits', wholes(0))
    .option('--only <digits>', 'hinton-2015/mnist: a transfer set of these digits alone', wholes(0))
    .option('--problems <list>', 'bucila-2006: some of adult,covtype,letter.p1,letter.p2', words)
    .option('--points <list>', 'bucila-2006: synthetic rows that mimics are trained on, ascending', wholes(1))
    .option('--steps <n>', 'bucila-2006: training steps of each mimic', whole(1))
    .option('--threads <n>', 'threads of ONNX Runtime', whole(1), 2)
    .option('--config <file>', 'options from a .json or .mjs file, in camelCase; the command line wins')
    .option('--json', 'print the result as JSON')
    .option('--quiet', 'no progress')
    .addHelpText(
      'after',
      `
Recipes (defaults above are those of hinton-2015/mnist):
${recipes.map(({ name, about }) => `  ${name}: ${about}`).join('\n')}

Examples:
  imago paper hinton-2015/mnist --fast
  imago paper hinton-2015/mnist --epochs 60 --seeds 1,2,3 --out runs/mnist
  imago paper hinton-2015/mnist --omit 3 --only 7,8
`,
    )
    .action(act(paper))
}

async function paper(context: Context, options: PaperOptions, name: string): Promise<number> {
  const recipe = recipeFor(name, options)
  const runDir = options.out ?? join('runs', recipe.name)
  const { result, report, effects, file = 'result' } = await recipe.run(context, options, runDir)
  await save(join(runDir, `${file}.json`), `${JSON.stringify(result, null, 2)}\n`)
  const html = join(runDir, file === 'result' ? 'report.html' : `${file}.html`)
  await save(html, page(report))
  if (options.json) context.out(JSON.stringify(result, null, 2))
  else {
    for (const { title, rows } of report.tables) context.out(`${title}\n\n${table(rows)}\n`)
    context.out(`report ${html}`)
  }
  return effects.every(({ holds }) => holds) ? exitCode.ok : exitCode.effect
}

/** Whole or not at all; another process of the same run may write the same file. */
async function save(path: string, text: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true })
  const partial = `${path}.${process.pid}.partial`
  await writeFile(partial, text)
  await rename(partial, path)
}
