"""
Modules as people write them, exported and trained like the students of ../students (its make.py says how), three steps each. Run in this
folder: python3 make.py [name …] (torch, onnx, onnxscript). What an exporter refuses has no file.
"""
import os
import sys
import types

here, names = os.path.dirname(os.path.abspath(__file__)), sys.argv[1:]
sys.path[:0] = [here, os.path.join(here, "../students")]
source = open(os.path.join(here, "../students/make.py")).read()
students = types.ModuleType("students")
exec(compile(source.rsplit("\nmain()", 1)[0], "make.py", "exec"), students.__dict__)

from modules import MODULES  # noqa: E402

students.STEPS = 3
DYNAMO = 18


def traced(name, net, inputs, weights):
    """At the oldest opset that the exporter has the module in."""
    for opset in (13, 14, 15, 16, 17, 18):
        try:
            students.export_traced(f"{name}.onnx", net, inputs, opset, weights)
            return opset
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    if os.path.exists(f"{name}.onnx"):
        os.remove(f"{name}.onnx")
    print(f"  {name}: no TorchScript export, {reason[:110]}")
    return None


for name in names or MODULES:
    make, inputs = MODULES[name]
    students.torch.manual_seed(0)
    net = make()
    weights = students.weights_of(net)
    opset = traced(name, net, inputs, weights)
    students.export_dynamo(f"{name}.dynamo.onnx", net, inputs, DYNAMO, weights)
    exporters = f"{f'TorchScript opset {opset}, ' if opset else ''}torch.export opset {DYNAMO}"
    students.write(name, net, inputs, "squares", 0.05, weights, exporters)
