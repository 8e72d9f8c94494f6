import { permutation, type Rng, type Tensor } from '@imago/tensor'

export interface OnlineKMeansOptions {
  /** Points `[N, D]`. */
  readonly points: Tensor<'float64'>
  /** Clusters, 1 … N. */
  readonly count: number
  readonly rng: Rng
  /** Walks over all points, at most: a walk in which no point changes its cluster is the last. */
  readonly passes: number
}

export interface KMeans {
  /** `[count, D]`: means of the clusters' points. */
  readonly centroids: Float64Array
  /** The cluster of each point, `[N]`; none is empty where as many points differ. */
  readonly clusters: Int32Array
  /** Σ of squared distances to the points' centroids. */
  readonly inertia: number
}

/**
 * On-line k-means (MacQueen 1967): each point, as it comes, moves its nearest centroid by n_c ← n_c + 1, μ_c ← μ_c + (x − μ_c)/n_c. Centroids begin at
 * points drawn with probability ∝ squared distance to those already drawn (Arthur & Vassilvitskii 2007); points come in a new order in each pass.
 * In the end a cluster that lost all its points takes the one farthest from its centroid, and centroids become the means of their points.
 */
export function onlineKMeans({ points, count, rng, passes }: OnlineKMeansOptions): KMeans {
  const [n = 0, width = 0] = points.dims
  const { data } = points
  const centroids = spread(data, n, width, count, rng.split('start'))
  const seen = new Float64Array(count).fill(1)
  const clusters = new Int32Array(n).fill(-1)
  for (let pass = 0; pass < passes; pass++) {
    let changed = false
    for (const i of permutation(rng.split(`pass ${pass}`), n)) {
      const { cluster: c } = nearest(data, i, centroids, width, count)
      if (clusters[i] !== c) changed = true
      clusters[i] = c
      const rate = 1 / ++seen[c]!
      for (let d = 0; d < width; d++)
        centroids[c * width + d]! += rate * (data[i * width + d]! - centroids[c * width + d]!)
    }
    if (!changed) break
  }
  return settle(data, n, width, count, centroids)
}

/** Points into the clusters whose centroids are nearest; empty clusters filled; centroids as means. */
function settle(data: Float64Array, n: number, width: number, count: number, moving: Float64Array): KMeans {
  const sizes = new Int32Array(count)
  const distances = new Float64Array(n)
  const clusters = Int32Array.from({ length: n }, (_, i) => {
    const { cluster, distance } = nearest(data, i, moving, width, count)
    distances[i] = distance
    sizes[cluster]!++
    return cluster
  })
  for (let c = 0; c < count; c++) {
    if (sizes[c]! > 0) continue
    let far = -1
    for (let i = 0; i < n; i++) if (sizes[clusters[i]!]! > 1 && (far < 0 || distances[i]! > distances[far]!)) far = i
    if (far < 0) break
    sizes[clusters[far]!]!--
    sizes[c] = 1
    clusters[far] = c
    distances[far] = 0
  }
  const centroids = new Float64Array(count * width)
  for (let i = 0; i < n; i++) {
    const c = clusters[i]!
    for (let d = 0; d < width; d++) centroids[c * width + d]! += data[i * width + d]! / sizes[c]!
  }
  let inertia = 0
  for (let i = 0; i < n; i++) inertia += squaredDistance(data, i, centroids, clusters[i]!, width)
  return { centroids, clusters, inertia }
}

function spread(data: Float64Array, n: number, width: number, count: number, rng: Rng): Float64Array {
  const centroids = new Float64Array(count * width)
  const away = new Float64Array(n).fill(Number.POSITIVE_INFINITY)
  let chosen = rng.integer(n)
  for (let c = 0; c < count; c++) {
    centroids.set(data.subarray(chosen * width, (chosen + 1) * width), c * width)
    let total = 0
    for (let i = 0; i < n; i++) {
      away[i] = Math.min(away[i]!, squaredDistance(data, i, centroids, c, width))
      total += away[i]!
    }
    let left = rng.uniform() * total
    chosen = total > 0 ? away.findIndex((distance) => distance > 0 && (left -= distance) <= 0) : rng.integer(n)
    if (chosen < 0) chosen = away.findLastIndex((distance) => distance > 0)
  }
  return centroids
}

function nearest(
  data: Float64Array,
  i: number,
  centroids: Float64Array,
  width: number,
  count: number,
): { cluster: number; distance: number } {
  let cluster = 0
  let distance = Number.POSITIVE_INFINITY
  for (let c = 0; c < count; c++) {
    const own = squaredDistance(data, i, centroids, c, width, distance)
    if (own < distance) [cluster, distance] = [c, own]
  }
  return { cluster, distance }
}

/** ‖x_i − μ_c‖²; where that is `limit` or more, some number ≥ `limit`, sooner. */
export function squaredDistance(
  data: Float64Array,
  i: number,
  centroids: Float64Array,
  c: number,
  width: number,
  limit: number = Number.POSITIVE_INFINITY,
): number {
  let sum = 0
  for (let d = 0; d < width && sum < limit; ) {
    const end = Math.min(d + 32, width)
    for (; d < end; d++) {
      const difference = data[i * width + d]! - centroids[c * width + d]!
      sum += difference * difference
    }
  }
  return sum
}
