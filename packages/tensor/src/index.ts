export { dims, type Shaped, type TensorShape } from './dims.js'
export {
  ArgumentError,
  DeviceError,
  describe,
  FormatError,
  ImagoError,
  NotFoundError,
  NumericError,
  ShapeError,
  StateError,
  UnsupportedError,
} from './errors.js'
export { fromPredict, type Predict, type TargetQuery, type Targets } from './nouns.js'
export { type Block, philox } from './philox.js'
export { permutation, type Rng, type RngBlocks, type RngState, restoreRng, rng } from './rng.js'
export {
  type ArrayType,
  arrayTypes,
  clone,
  type DataType,
  elementCount,
  isType,
  type Tensor,
  type TensorData,
  type TensorMap,
  tensor,
  tensorMap,
  zeros,
} from './tensor.js'
