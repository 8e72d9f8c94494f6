export { type AffineOptions, affineAugment } from './augment/affine-augment.js'
export { type JitterOptions, jitterAugment } from './augment/jitter-augment.js'
export { noise } from './augment/noise.js'
export type { Augment, Batch, Batches, Dataset } from './batch.js'
export { type BatchesOptions, batches } from './batches.js'
export { type Characters, type EmnistOptions, emnist } from './characters/emnist.js'
export { type Omniglot, type OmniglotOptions, omniglot } from './characters/omniglot.js'
export { concat } from './concat.js'
export type { CsvOptions } from './csv/csv-options.js'
export { readCsv } from './csv/read-csv.js'
export { writeCsv } from './csv/write-csv.js'
export { type DatasetOptions, dataset } from './dataset.js'
export { type DigitsOptions, digits, drawDigits } from './digits/digits.js'
export { type BatchSource, type FromIterableOptions, fromIterable } from './from-iterable.js'
export { type ImageOptions, idxDataset } from './idx/idx-dataset.js'
export { readIdx } from './idx/read-idx.js'
export type { DataSource } from './io/open-source.js'
export { type MixedBatchesOptions, type MixturePart, mixedBatches } from './mixed-batches.js'
export type { Fetch } from './mnist/download.js'
export { findMnist, type MnistOptions, mnist } from './mnist/mnist.js'
export { readNpy } from './npy/read-npy.js'
export { readNpz } from './npy/read-npz.js'
export { type OpenDatasetOptions, openDataset, openRows } from './open/open-dataset.js'
export { type ReadAheadOptions, readAhead } from './read-ahead.js'
export type { Scaling } from './scaling.js'
export { type Spectrum, spectrum } from './speech/fft.js'
export { type FrameWindows, type FrameWindowsOptions, frameWindows } from './speech/frame-windows.js'
export { fsdd, type SpokenDigit, type SpokenDigits } from './speech/fsdd.js'
export { type Frames, type LogMelOptions, logMel } from './speech/log-mel.js'
export { normaliseFrames } from './speech/normalise-frames.js'
export { split } from './split.js'
export { type CompactCost, compactCost } from './store/compact-cost.js'
export {
  type CompactEncoding,
  checkServes,
  type Encoding,
  type EncodingOptions,
  type FullEncoding,
  type LogitType,
  type TopKEncoding,
} from './store/encoding.js'
export { type FillReport, type FillStoreOptions, fillStore } from './store/fill-store.js'
export type { InputSignature } from './store/fingerprint.js'
export { type FromStoreOptions, fromStore } from './store/from-store.js'
export { formatVersion as storeFormatVersion, type StoreIdentity } from './store/manifest.js'
export { type OpenStoreOptions, openStore, type Store, type StoredRows } from './store/open-store.js'
export { type CreateStoreOptions, createStore, type StoreBatch, type StoreWriter } from './store/store-writer.js'
export { tailName } from './store/tail-name.js'
export { subset } from './subset.js'
export { munge, mungePasses } from './synth/munge.js'
export { mungeInPlace } from './synth/munge-in-place.js'
export type { MungeOptions } from './synth/munge-options.js'
export {
  type AttributeMixture,
  type FitMixtureOptions,
  logLikelihood,
  type NaiveBayesMixture,
  naiveBayesMixture,
  sampleMixture,
} from './synth/naive-bayes-mixture.js'
export { randomTable } from './synth/random-table.js'
export { type EncodeOptions, encodeLabels, encodeRecords, encodeTable } from './table/encode.js'
export {
  type ColumnEncoder,
  type ContinuousEncoder,
  encoderWidth,
  type FitEncoderOptions,
  fitEncoder,
  formatEncoder,
  inputNames,
  type NominalEncoder,
  parseEncoder,
  type TableEncoder,
} from './table/encoder.js'
export {
  type Column,
  type ContinuousColumn,
  formatSchema,
  type NominalColumn,
  parseSchema,
  type TableSchema,
} from './table/schema.js'
export { type Cells, concatTables, selectColumns, type Table, table, takeRows, withoutColumns } from './table/table.js'
export { type TableDatasetOptions, tableDataset } from './table/table-dataset.js'
export type { TrainTest } from './train-test.js'
export { unlabelled } from './unlabelled.js'
export { type ViewsOptions, views } from './views.js'
