"""What Python's onnxruntime gives for a model: outputs.py MODEL INPUT DIMS OUTPUT, float32 bytes in and out, one input, one thread."""
import sys

import numpy
import onnxruntime

model, source, dims, target = sys.argv[1:5]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
feed = numpy.fromfile(source, numpy.float32).reshape([int(size) for size in dims.split(",")])
session.run(None, {session.get_inputs()[0].name: feed})[0].tofile(target)
print(onnxruntime.__version__)
