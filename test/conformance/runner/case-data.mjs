import { readOptional, readSequence, readTensor } from './tensor-proto.mjs'

const readers = { tensor: readTensor, sequence: readSequence, optional: readOptional }

/** What a case's files hold, read when asked for. */
export function caseData(record, file) {
  const need = (path) => {
    const bytes = file(path)
    if (bytes === undefined) throw new Error(`${path} is missing`)
    return bytes
  }
  const value = (info, path) => readers[info.kind](need(path))
  return {
    model: () => need(`${record.dir}/model.onnx`),
    /** How many sets of inputs and outputs there are. */
    sets: () => {
      let count = 0
      while (
        (file(`${record.dir}/test_data_set_${count}/input_0.pb`) ??
          file(`${record.dir}/test_data_set_${count}/output_0.pb`)) !== undefined
      )
        count++
      return count
    },
    /** Inputs beyond the files are initializers, which old models list among the inputs. */
    inputs: (set = 0) =>
      new Map(
        record.inputs.flatMap((info, i) => {
          const path = `${record.dir}/test_data_set_${set}/input_${i}.pb`
          return file(path) === undefined ? [] : [[info.name, value(info, path)]]
        }),
      ),
    outputs: (set = 0) =>
      new Map(
        record.outputs.map((info, i) => [info.name, value(info, `${record.dir}/test_data_set_${set}/output_${i}.pb`)]),
      ),
    /** Seeds by output and references by input; the twins of a case share its references. */
    cotangent: (i) => readTensor(need(`grad/${record.base}/cotangent_${i}.pb`)),
    gradient: (i) => readTensor(need(`grad/${record.base}/grad_${i}.pb`)),
    mask: (i) => readTensor(need(`grad/${record.base}/mask_${i}.pb`)),
  }
}
