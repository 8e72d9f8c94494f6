// What the tests of the addon call: one valid call of every kernel.

/** Numbers that look random and are the same everywhere. */
function numbers(count, scale, seed) {
  let state = seed
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state / 2 ** 31 - 1) * scale
  })
}

const f32 = (n) => new Float32Array(n)
const labels = (rows, classes) => Int32Array.from({ length: rows }, (_, r) => (r % 7 === 0 ? -1 : r % classes))

/** Shapes large enough for many chunks of work, with rests in every direction. */
const [rows, classes] = [1237, 203]
const [tall, wide] = [9001, 10]
const n = rows * classes
/** A call of every kernel: buffers and scalars by position. */
export const calls = {
  softmax: [
    [numbers(n, 9, 1), f32(n)],
    [rows, classes, 2, 0],
  ],
  soft_target_loss: [
    [numbers(n, 9, 1), numbers(n, 9, 2), labels(rows, classes), null, f32(n), new Float64Array(3), null],
    [rows, classes, 4, 0.3, -100, 0],
  ],
  linear_soft_target_loss: [
    [
      ...[numbers(301 * 300, 1, 1), numbers(403 * 300, 0.3, 2), numbers(403, 1, 3), null],
      ...[numbers(301 * 33, 1, 4), numbers(403 * 33, 1, 5), null],
      ...[labels(301, 403), numbers(301, 0.2, 6).map((x) => x + 1)],
      ...[f32(301 * 300), f32(403 * 300), f32(403), new Float64Array(3), null],
    ],
    [301, 403, 300, 33, 4, 0.3, -100, 0, 0, 130],
  ],
  cross_entropy: [
    [numbers(tall * wide, 9, 1), labels(tall, wide), null, f32(tall * wide), new Float64Array(1), null, null],
    [tall, wide, 0.1, -100],
  ],
  kl_divergence: [
    [numbers(tall * wide, 9, 1), numbers(tall * wide, 9, 2), null, f32(tall * wide), new Float64Array(1), null],
    [tall, wide, 20, 0],
  ],
  logit_regression: [
    [numbers(n, 9, 1), numbers(n, 9, 2), null, f32(n), new Float64Array(1), null],
    [rows, classes, 1, 0],
  ],
  reverse_kl: [
    [numbers(tall * wide, 9, 1), numbers(tall * wide, 9, 2), null, f32(tall * wide), new Float64Array(1), null],
    [tall, wide, 3, 0],
  ],
  js_divergence: [
    [numbers(tall * wide, 9, 1), numbers(tall * wide, 9, 2), null, f32(tall * wide), new Float64Array(1), null],
    [tall, wide, 3, 0.3, 0],
  ],
  total_variation: [
    [numbers(tall * wide, 9, 1), numbers(tall * wide, 9, 2), null, f32(tall * wide), new Float64Array(1), null],
    [tall, wide, 3, 0],
  ],
  dkd: [
    [numbers(n, 9, 1), numbers(n, 9, 2), labels(rows, classes), null, f32(n), new Float64Array(3), null],
    [rows, classes, 4, 1, 8, -100, 0],
  ],
  dist: [
    [numbers(n, 9, 1), numbers(n, 9, 2), null, f32(n), new Float64Array(3), null],
    [rows, classes, 4, 1, 1, 0],
  ],
  top_k_soft_target_loss: [
    [
      numbers(n, 9, 1),
      Int32Array.from({ length: rows * 7 }, (_, i) => (i * 5) % classes),
      numbers(rows * 7, 2, 2).map((x) => x - 5),
      null,
      labels(rows, classes),
      null,
      f32(n),
      new Float64Array(3),
      null,
    ],
    [rows, classes, 7, 4, 0.3, -100, 0, 0],
  ],
  sgd: [
    [numbers(n, 1, 1), numbers(n, 1, 2), numbers(n, 1, 3), new Uint16Array(n)],
    [rows, classes, 0.1, 0.9, 0.01, 1, 1, 15],
  ],
  adamw: [
    [numbers(n, 1, 1), numbers(n, 1, 2), numbers(n, 1, 3), f32(n), new Uint16Array(n)],
    [rows, classes, 0.1, 0.9, 0.99, 1e-8, 0.01, 1, 3, 0, 15],
  ],
  ema: [
    [numbers(n, 1, 1), numbers(n, 1, 2)],
    [n, 0.9],
  ],
  squared_norm: [[numbers(n, 9, 1), new Float64Array(1)], [n]],
  dropout_mask: [[f32(n)], [n, 0.3, 1, 2, 2 ** 32 - 5]],
  dropout: [
    [numbers(n, 9, 1), f32(n)],
    [n, 0.3, 1, 2, 2 ** 32 - 5],
  ],
  gaussian_noise: [
    [numbers(n, 9, 1), f32(n)],
    [n, 0.3, 1, 2, 2 ** 32 - 5],
  ],
  convert_half: [
    [numbers(n, 9, 1), new Uint16Array(n)],
    [n, 1, 1],
  ],
  top_k: [
    [numbers(n, 9, 1), f32(rows * 7), new Int32Array(rows * 7), new Float64Array(rows), new Float64Array(rows)],
    [rows, classes, 7, 2],
  ],
  covariance: [
    [numbers(n, 9, 1), null, new Float64Array(1), new Float64Array(classes), new Float64Array(classes * classes)],
    [rows, classes],
  ],
  solve_eq5: [
    [
      new Float32Array(rows * classes).fill(1 / classes),
      Int32Array.of(0, 3),
      Int32Array.of(0, 1, 2, 2, 3, 4),
      Int32Array.from({ length: rows }, (_, r) => 2 * r),
      Int32Array.from({ length: 2 * rows }, (_, i) => i % 2),
      Int32Array.from({ length: 2 * rows }, (_, i) => 4 * i),
      new Float32Array(8 * rows).fill(0.25),
      f32(n),
      new Int32Array(rows),
      new Float64Array(rows),
    ],
    [rows, classes, 2, 6, 2 * rows, 8 * rows, 100],
  ],
  nearest_neighbors: [
    [
      numbers(rows * 11, 1, 1),
      Int32Array.from({ length: rows * 5 }, (_, i) => (i * 7) % 3),
      new Int32Array(rows),
      new Float64Array(rows),
    ],
    [rows, 11, 5],
  ],
  jitter: [
    [numbers(700 * 49, 1, 1), f32(700 * 49)],
    [700, 1, 7, 7, 2, 5, 6, 7],
  ],
}
