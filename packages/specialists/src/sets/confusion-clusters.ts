import { correlationOf, covarianceOf, type Moments } from '@imago/kernels'
import { ArgumentError, NumericError, type Rng, type Tensor } from '@imago/tensor'
import type { ClassSet } from './class-set.js'
import { type KMeans, onlineKMeans, squaredDistance } from './online-k-means.js'

export interface ConfusionClustersOptions {
  /** Of a generalist's predictions: `predictionMoments`. */
  readonly moments: Moments
  /** Clusters, 1 … C (a partition: 2 … C). */
  readonly count: number
  /**
   * Classes in each set, 2 … C − 1: those nearest to a centroid, so that sets may overlap and leave classes out, as the paper's do (61 sets of 300
   * classes). Left out: the clusters themselves, a partition.
   */
  readonly size?: number | undefined
  /** What is clustered: columns of the covariance matrix (the paper's), or of the correlation matrix, where rare classes count as frequent ones do. */
  readonly columns?: 'covariance' | 'correlation' | undefined
  /** Never moved. */
  readonly rng: Rng
  /** Clusterings of which the one with the least inertia is taken; default 8. */
  readonly restarts?: number | undefined
  /** Walks over the columns in each clustering, at most; default 10. */
  readonly passes?: number | undefined
}

export interface ConfusionClusters {
  readonly sets: readonly ClassSet[]
  /** The cluster of each class, `[C]`. */
  readonly clusters: Int32Array
  /** All classes, cluster by cluster, nearest to the centroid first: the order in which the covariance matrix shows its blocks. */
  readonly order: Int32Array
  /** Σ of squared distances of columns to their centroids, of the best clustering. */
  readonly inertia: number
  /** What did not become a set, one sentence each. */
  readonly notes: readonly string[]
}

/**
 * Sets of classes that a generalist confuses: on-line k-means over the columns of the covariance matrix of its predictions (Hinton, Vinyals & Dean
 * 2015, §5.1). The same rng gives the same sets. Sets are in the order of their first classes, named `set-1`, …; clusters of one class
 * and sets that came twice are left out, and `notes` says so.
 *
 * @throws ArgumentError (fewer than three classes, count, size), NumericError where the predictions do not vary at all
 */
export function confusionClusters(options: ConfusionClustersOptions): ConfusionClusters {
  const caller = 'confusionClusters'
  const { moments, count, size, columns = 'covariance', rng, restarts = 8, passes = 10 } = options
  const classes = moments.mean.data.length
  if (classes < 3)
    throw new ArgumentError(
      caller,
      'moments',
      'of at least three classes: of two, a specialist for both has no dustbin, and one for a class of its own tells nothing apart',
      classes,
    )
  if (columns !== 'covariance' && columns !== 'correlation')
    throw new ArgumentError(caller, 'columns', 'covariance or correlation', columns)
  const checked: readonly [name: string, value: number, least: number, most: number][] = [
    ['count', count, size === undefined ? 2 : 1, classes],
    ['size', size ?? 2, 2, classes - 1],
    ['restarts', restarts, 1, 1e6],
    ['passes', passes, 1, 1e6],
  ]
  for (const [name, value, least, most] of checked)
    if (!(Number.isInteger(value) && value >= least && value <= most))
      throw new ArgumentError(caller, name, `a whole number in [${least}, ${most}] for ${classes} classes`, value)
  const covariance = covarianceOf(moments)
  if (covariance.data.every((value) => value === 0))
    throw new NumericError(
      caller,
      'the covariance matrix is zero: the generalist predicts the same for every row; is it trained, and are its inputs scaled as it expects?',
    )
  const points = columns === 'covariance' ? covariance : correlationOf(moments)
  const found = best(points, { count, rng, restarts, passes })
  const { sets, notes } = size === undefined ? partition(found, count) : nearestClasses(points, found, count, size)
  if (sets.length === 0)
    throw new ArgumentError(caller, 'count', 'such that a cluster has two classes or more; take fewer clusters', count)
  const named = sets
    .sort((a, b) => a[0]! - b[0]! || a.length - b.length || compare(a, b))
    .map((set, i): ClassSet => ({ name: `set-${i + 1}`, classes: set }))
  return { sets: named, clusters: found.clusters, order: ordered(points, found), inertia: found.inertia, notes }
}

function best(
  points: Tensor<'float64'>,
  options: { readonly count: number; readonly rng: Rng; readonly restarts: number; readonly passes: number },
): KMeans {
  let found: KMeans | undefined
  for (let i = 0; i < options.restarts; i++) {
    const next = onlineKMeans({ points, ...options, rng: options.rng.split(`restart ${i}`) })
    if (found === undefined || next.inertia < found.inertia) found = next
  }
  return found!
}

interface Sets {
  readonly sets: number[][]
  readonly notes: string[]
}

function partition({ clusters }: KMeans, count: number): Sets {
  const all = Array.from({ length: count }, (): number[] => [])
  for (const [c, cluster] of clusters.entries()) all[cluster]!.push(c)
  const single = all.filter((set) => set.length === 1).flat()
  const sets = all.filter((set) => set.length > 1)
  const notes = single.map(
    (c) => `class ${c} is a cluster of its own, and no set: there is nothing to tell apart in it`,
  )
  return { sets, notes }
}

function nearestClasses(points: Tensor<'float64'>, { centroids }: KMeans, count: number, size: number): Sets {
  const classes = points.dims[0]!
  const seen = new Set<string>()
  const sets: number[][] = []
  const notes: string[] = []
  for (let k = 0; k < count; k++) {
    const distances = Float64Array.from({ length: classes }, (_, c) =>
      squaredDistance(points.data, c, centroids, k, classes),
    )
    const near = [...distances.keys()].sort((a, b) => distances[a]! - distances[b]! || a - b).slice(0, size)
    const set = near.sort((a, b) => a - b)
    if (seen.has(set.join()))
      notes.push(
        `two centroids have the same ${size} classes nearest (${set.slice(0, 4).join(', ')}…); the set is there once`,
      )
    else sets.push(set)
    seen.add(set.join())
  }
  return { sets, notes }
}

function ordered(points: Tensor<'float64'>, { clusters, centroids }: KMeans): Int32Array {
  const classes = clusters.length
  const distances = Float64Array.from(clusters, (k, c) => squaredDistance(points.data, c, centroids, k, classes))
  return Int32Array.from(
    [...clusters.keys()].sort((a, b) => clusters[a]! - clusters[b]! || distances[a]! - distances[b]! || a - b),
  )
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i])
  return at < 0 ? 0 : a[at]! - (b[at] ?? -1)
}
