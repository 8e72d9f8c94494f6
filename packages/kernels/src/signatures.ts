/**
 * The arguments of every built-in kernel in the order in which they cross the seam. The C++ kernel of the same stem reads
 * them by the same positions. R rows, C classes, n elements; `?` marks a buffer that may be null.
 *
 * Scalars are doubles: sizes are exact to 2⁵³, booleans are 0 or 1. Random words come as key and first block of a Philox
 * stream (`Rng.reserve`): `key0 key1 block`.
 *
 * What holds for every loss (the convention of docs/decisions):
 * - A row is left out where its weight is 0 or its label is ignoreIndex: it is not read, its gradient is 0, it leaves the
 *   denominator Σ w. Nothing left: all results 0. Label −1 (unless that is ignoreIndex) is an unlabelled row: it counts in
 *   Σ w, its cross entropy and the gradient of that are 0 — in cross_entropy as in soft_target_loss.
 * - classMask [C]: where it is 0 there is no class (the padding of a vocabulary): the logits there are not read and count as −∞
 *   in student and teacher alike, the gradient is 0, a label there is no class. At least one class is left.
 * - teacherType: 0 float32, 1 float16, 2 bfloat16; the latter two as their bits in u16.
 * - Teacher −∞ is no mass (0·log 0 = 0); student −∞ where the teacher (or the label) has mass is a loss of +∞, never NaN;
 *   the gradient stays finite.
 * - A kernel refuses with `[<kernel>: ]<buffer>: <problem> in row <r>`, as in `student: NaN in row 3`, `teacher: Infinity in
 *   row 0`, `logits: only -Infinity in row 2`, `labels: 12 in row 5 is not a class`. What it writes to (`out`, also in place) is
 *   unspecified then. What begins with `labels` or `rowWeights` becomes an ArgumentError, the rest a
 *   NumericError. The face has checked that row weights are finite and ≥ 0.
 */
export const signatures = {
  /** out = softmax(logits / temperature), or its logarithm. */
  softmax: { buffers: ['logits RxC f32', 'out RxC f32'], scalars: ['rows', 'classes', 'temperature', 'log'] },
  /**
   * value = (1 − hardWeight)·soft + hardWeight·hard, soft = Σ w·T²·KL / Σ w, hard = Σ w·CE / Σ w; a term whose factor is 0 is not
   * added (no 0·∞). result = [value, soft, hard].
   * gradient may be the student's own buffer.
   */
  soft_target_loss: {
    buffers: [
      'student RxC f32',
      'teacher RxC f32|u16',
      'labels? R i32',
      'rowWeights? R f32',
      'gradient? RxC f32',
      'result 3 f64',
      'classMask? C u8',
    ],
    scalars: ['rows', 'classes', 'temperature', 'hardWeight', 'ignoreIndex', 'teacherType'],
  },
  /**
   * soft_target_loss of the logits z = h·Wᵀ + b (student: hidden states h RxD, weight W CxD) against logits given as a matrix or as
   * hidden states RxE, weight CxE and bias of a teacher, and its gradients by h, W and b, each optional. No logit matrix is made:
   * chunkRows rows at a time, 0: as many as 64 MiB of logits. A bias may be −∞; h and W must be finite, of
   * masked classes too. Types: hidden states and
   * weight of one side have one, 0 float32, 1 float16, 2 bfloat16; teacherType is that of teacherLogits where those are given.
   * hiddenGradient may be studentHidden's own buffer where that is float32. Logits beyond float32 are refused as
   * `student: logits beyond float32 in row <r>`, when outputs may have been written; everything else before.
   */
  linear_soft_target_loss: {
    buffers: [
      'studentHidden RxD f32|u16',
      'studentWeight CxD f32|u16',
      'studentBias? C f32',
      'teacherLogits? RxC f32|u16',
      'teacherHidden? RxE f32|u16',
      'teacherWeight? CxE f32|u16',
      'teacherBias? C f32',
      'labels? R i32',
      'rowWeights? R f32',
      'hiddenGradient? RxD f32',
      'weightGradient? CxD f32',
      'biasGradient? C f32',
      'result 3 f64',
      'classMask? C u8',
    ],
    scalars: [
      'rows',
      'classes',
      'depth',
      'teacherDepth',
      'temperature',
      'hardWeight',
      'ignoreIndex',
      'studentType',
      'teacherType',
      'chunkRows',
    ],
  },
  /**
   * result = [value]; smoothing ε: targets (1−ε)·t + ε/C, C the classes that the mask leaves. t is onehot(label), or the row of
   * `distribution`: numbers ≥ 0 whose sum is 1 to within 1e-3. One of the two is given.
   */
  cross_entropy: {
    buffers: [
      'student RxC f32',
      'labels? R i32',
      'rowWeights? R f32',
      'gradient? RxC f32',
      'result 1 f64',
      'distribution? RxC f32',
      'classMask? C u8',
    ],
    scalars: ['rows', 'classes', 'smoothing', 'ignoreIndex'],
  },
  /** result = [Σ w·KL(softmax(teacher/T) ‖ softmax(student/T)) / Σ w], without T²; gradient with respect to student. */
  kl_divergence: {
    buffers: [
      'student RxC f32',
      'teacher RxC f32|u16',
      'rowWeights? R f32',
      'gradient? RxC f32',
      'result 1 f64',
      'classMask? C u8',
    ],
    scalars: ['rows', 'classes', 'temperature', 'teacherType'],
  },
  /** result = [Σ w·½·Σ_c (student − teacher)² / Σ w]; zeroMean: both rows are centred first. Squares that overflow float32 may be refused. */
  logit_regression: {
    buffers: [
      'student RxC f32',
      'teacher RxC f32|u16',
      'rowWeights? R f32',
      'gradient? RxC f32',
      'result 1 f64',
      'classMask? C u8',
    ],
    scalars: ['rows', 'classes', 'zeroMean', 'teacherType'],
  },
  /**
   * result = [Σ w·KL(softmax(student/T) ‖ softmax(teacher/T)) / Σ w]. Where the teacher excludes (−∞) mass of the student it is +∞, and
   * the row's gradient is that of Σ q over the excluded classes.
   */
  reverse_kl: {
    buffers: [
      'student RxC f32',
      'teacher RxC f32|u16',
      'rowWeights? R f32',
      'gradient? RxC f32',
      'result 1 f64',
      'classMask? C u8',
    ],
    scalars: ['rows', 'classes', 'temperature', 'teacherType'],
  },
  /**
   * result = [Σ w·(β·KL(p ‖ m) + (1 − β)·KL(q ‖ m)) / Σ w], m = β·p + (1 − β)·q, p = softmax(teacher/T), q = softmax(student/T),
   * 0 < β < 1. It is at most −β·ln β − (1 − β)·ln(1 − β), even where −∞ keeps p and q apart.
   */
  js_divergence: {
    buffers: [
      'student RxC f32',
      'teacher RxC f32|u16',
      'rowWeights? R f32',
      'gradient? RxC f32',
      'result 1 f64',
      'classMask? C u8',
    ],
    scalars: ['rows', 'classes', 'temperature', 'beta', 'teacherType'],
  },
  /** result = [Σ w·½·Σ_c |softmax(student/T) − softmax(teacher/T)| / Σ w]; where both are equal the derivative is taken as 0. */
  total_variation: {
    buffers: [
      'student RxC f32',
      'teacher RxC f32|u16',
      'rowWeights? R f32',
      'gradient? RxC f32',
      'result 1 f64',
      'classMask? C u8',
    ],
    scalars: ['rows', 'classes', 'temperature', 'teacherType'],
  },
  /**
   * value = α·target + β·rest (a term whose factor is 0 is not added), target = Σ w·T²·TCKD / Σ w, rest = Σ w·T²·NCKD / Σ w; result =
   * [value, target, rest]. TCKD: KL of (label, all others); NCKD: KL of the softmaxes over all others, 0 where the teacher excludes
   * them all. α, β ≥ 0. A row without label adds 0 and counts.
   */
  dkd: {
    buffers: [
      'student RxC f32',
      'teacher RxC f32|u16',
      'labels R i32',
      'rowWeights? R f32',
      'gradient? RxC f32',
      'result 3 f64',
      'classMask? C u8',
    ],
    scalars: ['rows', 'classes', 'temperature', 'alpha', 'beta', 'ignoreIndex', 'teacherType'],
  },
  /**
   * value = β·inter + γ·intra, inter = Σ w·(1 − ρ_row) / Σ w, intra = Σ_c (1 − ρ_c) / C; result = [value, inter, intra]. ρ: Pearson's
   * correlation of softmax(student/T) and softmax(teacher/T), of a row over the classes that the mask leaves, of a class over the rows,
   * weighted; ρ = 0 without gradient where one of the two does not vary: the squares of what is centred sum to 1e-24 of the squares
   * before (a row less 1/C, a class as it is or less 1/C, whichever is smaller), or to 1e-74. No factor T². β, γ ≥ 0.
   */
  dist: {
    buffers: [
      'student RxC f32',
      'teacher RxC f32|u16',
      'rowWeights? R f32',
      'gradient? RxC f32',
      'result 3 f64',
      'classMask? C u8',
    ],
    scalars: ['rows', 'classes', 'temperature', 'beta', 'gamma', 'teacherType'],
  },
  /**
   * soft_target_loss with KL of k + 1 buckets: the k classes `indices` of a row (different ones), and all others together.
   * areLogits 0: values are log-probabilities of softmax(teacher/T). Without logTail the others have 1 − Σ p; where Σ p exceeds 1 by no more than
   * rounding (1e-4, 4e-3, 3e-2 by valuesType) it is divided out. With logTail, ln of the probability of all others (≤ 0), the values say how
   * the rest is shared, whatever their common offset. areLogits 1: values are logits, divided by T here; logTail is needed.
   * Where k is the number of classes there is no tail: the values are normalised.
   */
  top_k_soft_target_loss: {
    buffers: [
      'student RxC f32',
      'indices Rxk i32',
      'values Rxk f32|u16',
      'logTail? R f64',
      'labels? R i32',
      'rowWeights? R f32',
      'gradient? RxC f32',
      'result 3 f64',
      'classMask? C u8',
    ],
    scalars: ['rows', 'classes', 'k', 'temperature', 'hardWeight', 'ignoreIndex', 'valuesType', 'areLogits'],
  },
  /**
   * g = gradientScale·gradient + weightDecay·w; v ← momentum·v − rate·g; w ← w + v; then each unit's incoming weights are
   * scaled down to squared length ≤ maxSquaredNorm. The parameter is a row-major matrix rows × columns;
   * unitAxis: −1 no max-norm, 0 a unit is a row, 1 a unit is a column. copy: the new weights as bfloat16, ties to even.
   */
  sgd: {
    buffers: ['parameter n f32', 'gradient n f32', 'velocity n f32', 'copy? n u16'],
    scalars: ['rows', 'columns', 'rate', 'momentum', 'weightDecay', 'gradientScale', 'unitAxis', 'maxSquaredNorm'],
  },
  /** Decoupled weight decay (Loshchilov & Hutter 2019); step counts from 1. Max-norm and copy as in sgd. */
  adamw: {
    buffers: ['parameter n f32', 'gradient n f32', 'm n f32', 'v n f32', 'copy? n u16'],
    scalars: [
      'rows',
      'columns',
      'rate',
      'beta1',
      'beta2',
      'epsilon',
      'weightDecay',
      'gradientScale',
      'step',
      'unitAxis',
      'maxSquaredNorm',
    ],
  },
  /** average ← decay·average + (1 − decay)·x, decay in [0, 1]. */
  ema: { buffers: ['average n f32', 'x n f32'], scalars: ['n', 'decay'] },
  /** result = [Σ x²], summed in float64 in a fixed order. */
  squared_norm: { buffers: ['x n f32', 'result 1 f64'], scalars: ['n'] },
  /**
   * A multiplicative mask: 0 with probability t/65536, else 65536/(65536 − t), t = round(65536·probability).
   * Element i takes 16 bits of Philox block ⌊i/8⌋: word ⌊(i mod 8)/2⌋, its lower half first; it is kept where bits ≥ t.
   */
  dropout_mask: { buffers: ['out n f32'], scalars: ['n', 'probability', 'key0', 'key1', 'block'] },
  /** out = x times the mask that dropout_mask draws from the same stream; what is dropped is 0 whatever it was. out may be x. */
  dropout: { buffers: ['x n f32', 'out n f32'], scalars: ['n', 'probability', 'key0', 'key1', 'block'] },
  /**
   * out = x + sigma·z, or sigma·z without x; out may be x. Elements 4b … 4b + 3 take Philox block b: with u = (word0 + ½)·2⁻³² and
   * θ = 2π·word1·2⁻³² they are √(−2·ln u)·cos θ, √(−2·ln u)·sin θ, and the same of word2 and word3.
   */
  gaussian_noise: { buffers: ['x? n f32', 'out n f32'], scalars: ['n', 'sigma', 'key0', 'key1', 'block'] },
  /**
   * Each image [planes, height, width] moves by whole pixels (dx, dy) in [−shift, shift]², what comes in is 0. Image i takes Philox block i:
   * dx = ⌊word0·(2·shift+1)/2³²⌋ − shift, dy the same from word1. out may not be the input's buffer.
   */
  jitter: {
    buffers: ['images f32', 'out f32'],
    scalars: ['images', 'planes', 'height', 'width', 'shift', 'key0', 'key1', 'block'],
  },
  /**
   * half = single as float16 (halfType 1) or bfloat16 (2) where encode is 1: to nearest, ties to even, subnormal numbers kept, overflow
   * infinite, NaN a NaN. encode 0: single = half, exact. The other buffer is read.
   */
  convert_half: { buffers: ['single n f32', 'half n u16'], scalars: ['n', 'halfType', 'encode'] },
  /**
   * The k ≤ 1024 largest logits of each row, descending, equal ones by lower index, with their indices. logSumExp: ln Σ e^(z/T) of
   * the row; logTail: ln of the share of the classes that are not selected, ln(1 − Σ p), from their own sum (nothing is subtracted); −∞ where
   * none are. After a refusal the outputs are unspecified.
   */
  top_k: {
    buffers: ['logits RxC f32', 'values Rxk f32', 'indices Rxk i32', 'logSumExp? R f64', 'logTail? R f64'],
    scalars: ['rows', 'classes', 'k', 'temperature'],
  },
  /**
   * Rows join what has been counted: count ← Σ w, mean ← Σ w·x / count, comoment ← Σ w·(x − mean)(x − mean)ᵀ over all rows so far (Chan,
   * Golub & LeVeque 1983). Of the comoment the upper triangle is read and written, the rest is left alone.
   */
  covariance: {
    buffers: ['x RxC f32', 'rowWeights? R f32', 'count 1 f64', 'mean C f64', 'comoment CxC f64'],
    scalars: ['rows', 'columns'],
  },
  /**
   * For each row the nearest other one, the first of equally near ones: the least Σ_c (x_ic − x_jc)² + |{m : codes_im ≠ codes_jm}|, summed in
   * float64 in this order, which squaredDistances tells. At least two rows and one attribute; |x| ≤ 2⁴⁸, and below 2⁻¹²⁶ it is 0. The same bits everywhere.
   * On the CPU alone (`onCpuAlone`).
   */
  nearest_neighbors: {
    buffers: ['x? RxC f32', 'codes? RxM i32', 'neighbors R i32', 'squaredDistances? R f64'],
    scalars: ['rows', 'continuous', 'nominal'],
  },
  /**
   * The distribution of each row that minimises KL(general ‖ q) + Σ_m KL(p^m ‖ q) over the experts that are active there (Hinton, Vinyals & Dean
   * 2015, eq. 5). Expert m knows the classes setClasses[setStart[m]] … up to the next one's, all different, and a dustbin for all others. Row r
   * has the active experts activeExpert[activeStart[r]] …, at most 32, with |set| + 1 probabilities from probabilities[activeAt], the dustbin last. Distributions
   * sum to 1 within 1e-3 and are divided by their sum; classes that the generalist rules out count as 1e-38. steps: evaluations, 0 without experts; residual: by how much
   * the multiplier of q differs between classes. A row that has not arrived after mostSteps says so by its residual. On the CPU alone.
   */
  solve_eq5: {
    buffers: [
      'general RxC f32',
      'setStart M i32',
      'setClasses K i32',
      'activeStart R i32',
      'activeExpert A i32',
      'activeAt A i32',
      'probabilities P f32',
      'out RxC f32',
      'steps R i32',
      'residual R f64',
    ],
    scalars: ['rows', 'classes', 'experts', 'members', 'active', 'numbers', 'mostSteps'],
  },
} as const

export type KernelName = keyof typeof signatures

/** Kernels that no build for GPUs has, and why. All others have a .cu of their stem. */
export const onCpuAlone: { readonly [kernel in KernelName]?: string } = {
  nearest_neighbors: 'it is called once for a transfer set, on tables that lie in the memory of the host',
  solve_eq5: 'it is not written yet; the experts run on the host',
}

interface ArrayOf {
  f32: Float32Array
  f64: Float64Array
  i32: Int32Array
  u16: Uint16Array
  u8: Uint8Array
}

/** `Float32Array | Uint16Array` of `teacher RxC f32|u16`; a name that ends in `?` may be null. */
type BufferOf<S extends string> = S extends `${infer Name}? ${infer Rest}`
  ? BufferOf<`${Name} ${Rest}`> | null
  : S extends `${string} ${infer Rest}`
    ? BufferOf<Rest>
    : S extends `${infer A}|${infer B}`
      ? BufferOf<A> | BufferOf<B>
      : S extends keyof ArrayOf
        ? ArrayOf[S]
        : never

type BuffersOf<T extends readonly string[]> = { readonly [I in keyof T]: BufferOf<T[I]> }
type NumbersOf<T extends readonly string[]> = { readonly [I in keyof T]: number }

/** A kernel with its own arguments: the arrays and the numbers of its row in `signatures`. */
export type KernelOf<K extends KernelName> = (
  buffers: BuffersOf<(typeof signatures)[K]['buffers']>,
  scalars: NumbersOf<(typeof signatures)[K]['scalars']>,
) => void
