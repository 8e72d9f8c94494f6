import { NotFoundError, StateError } from '@imago/tensor'
import { baCaruana2014Recipe } from './ba-caruana-2014.js'
import { bucila2006Recipe } from './bucila-2006.js'
import { hinton2015MnistRecipe } from './hinton-2015-mnist.js'
import { hinton2015RegularizerRecipe } from './hinton-2015-regularizer.js'
import { hinton2015SpecialistsRecipe } from './hinton-2015-specialists.js'
import { hinton2015SpeechRecipe } from './hinton-2015-speech.js'
import type { PaperOptions, PaperRecipe } from './paper-recipe.js'
import { selfDistillationRecipe } from './self-distillation.js'

/** The recipes of `imago paper`. */
export const recipes: readonly PaperRecipe[] = [
  hinton2015MnistRecipe,
  hinton2015SpeechRecipe,
  hinton2015RegularizerRecipe,
  hinton2015SpecialistsRecipe,
  baCaruana2014Recipe,
  bucila2006Recipe,
  selfDistillationRecipe,
]

/** The recipe of that name, for these options. @throws NotFoundError, StateError for an option that it does not read */
export function recipeFor(name: string, options: PaperOptions): PaperRecipe {
  const recipe = recipes.find((one) => one.name === name)
  if (!recipe)
    throw new NotFoundError(`there is no recipe "${name}"`, `There is ${recipes.map((one) => one.name).join(', ')}`)
  const known = new Set<string>([...recipe.reads, ...always])
  const { ablation, ...given } = options
  const foreign = [...Object.keys(given), ...(ablation === false ? ['ablation'] : [])].find(
    (option) => options[option as keyof PaperOptions] !== undefined && !known.has(option),
  )
  if (foreign !== undefined)
    throw new StateError(
      `${flag(foreign)} has no part in ${name}`,
      `Leave it out; it reads ${[...recipe.reads, 'fast', 'threads'].map(flag).join(', ')}`,
    )
  return recipe
}

const always = ['out', 'dataDir', 'fast', 'threads', 'json', 'quiet', 'config']

function flag(option: string): string {
  const kebab = option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  return option === 'ablation' ? '--no-ablation' : `--${kebab}`
}
