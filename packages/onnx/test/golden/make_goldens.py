"""Makes the goldens of the onnx room. Run in this folder: python3 make_goldens.py

Models are exported by PyTorch or written with onnx.helper; dims, types and values come from ONNX Runtime with all
optimisations off, and what the codec shall read comes from onnx's own protobuf classes. Tests need no Python.
"""
import json
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper, parser

warnings.filterwarnings("ignore")
ort.set_default_logger_severity(4)
torch.manual_seed(0)
OPTIONS = ort.SessionOptions()
OPTIONS.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
PROVENANCE = {
    "script": "make_goldens.py",
    "versions": {"onnx": onnx.__version__, "onnxruntime": ort.__version__, "torch": torch.__version__, "numpy": np.__version__},
}


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.d, self.bn, self.b = nn.Linear(6, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 5)

    def forward(self, x):
        return self.b(self.d(F.relu(self.bn(self.a(x)))))


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 4, 5, padding=2), nn.Conv2d(4, 6, 3, stride=2, bias=False)
        self.bn, self.f = nn.BatchNorm2d(6), nn.Linear(54, 7)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.c1(x)), 2)
        x = F.hardswish(self.bn(self.c2(x)))
        return F.log_softmax(self.f(x.view(x.size(0), -1)), dim=1)


class Depthwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.d, self.p = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.PReLU(8)
        self.t, self.f = nn.ConvTranspose2d(8, 3, 2, stride=2), nn.Linear(3, 2)

    def forward(self, x):
        x = self.p(self.d(F.relu6(self.c(F.pad(x, (1, 1, 0, 1))))))
        x = self.t(F.avg_pool2d(x, 2, ceil_mode=True))
        return self.f(x.mean((2, 3)))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.pos = nn.Embedding(11, 8), nn.Parameter(torch.randn(1, 6, 8))
        self.q, self.o, self.ln = nn.Linear(8, 24), nn.Linear(8, 8), nn.LayerNorm(8)
        self.m1, self.m2, self.h = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 3)

    def forward(self, ids):
        x = self.e(ids) + self.pos
        b, t, c = x.shape
        heads = lambda z: z.view(b, t, 2, 4).transpose(1, 2)
        q, k, v = self.q(self.ln(x)).chunk(3, -1)
        a = (heads(q) @ heads(k).transpose(-1, -2) / 2.0).softmax(-1)
        x = x + self.o((a @ heads(v)).transpose(1, 2).reshape(b, t, c))
        x = x + self.m2(F.gelu(self.m1(x)))
        return self.h(x[:, 0]), x.amax(1)


class Misc(nn.Module):
    def __init__(self):
        super().__init__()
        self.w, self.g = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.rand(4))

    def forward(self, x):
        y = x @ self.w
        y = y * self.g + torch.clamp(y, -1, 1)
        y = torch.cat([y, y[:, 1:3].abs()], 1)
        y = y.unsqueeze(1).expand(-1, 3, -1).flatten(1)
        z = torch.where(y > 0, F.elu(y), F.softplus(y)).split([8, 10], 1)[1]
        return F.normalize(z), z.sum(1), z.argmax(1), z.repeat(1, 2)


MODULES = {
    "mlp": (Mlp(), torch.randn(2, 6), (17,), ()),
    "convolutional": (Convolutional(), torch.randn(2, 1, 14, 14), (9, 17), ()),
    "depthwise": (Depthwise(), torch.randn(2, 4, 7, 7), (17,), ()),
    "attention": (Attention(), torch.randint(0, 11, (2, 6)), (11, 17), (20,)),
    "misc": (Misc(), torch.randn(2, 6), (9, 17), (18,)),
}


def export():
    names = []
    for name, (module, x, legacy, dynamo) in MODULES.items():
        module.eval()
        for opset in legacy:
            path = f"{name}-{opset}.onnx"
            torch.onnx.export(module, (x,), path, opset_version=opset, dynamo=False, input_names=["x"],
                              dynamic_axes={"x": {0: "N"}}, do_constant_folding=False,
                              training=torch.onnx.TrainingMode.PRESERVE)
            names.append(path)
        for opset in dynamo:
            path = f"{name}-{opset}.onnx"
            torch.onnx.export(module, (x,), path, opset_version=opset, dynamo=True, input_names=["x"], verbose=False,
                              external_data=False, dynamic_shapes=({0: torch.export.Dim("N")},))
            model = onnx.load(path)
            for node in model.graph.node:  # stack traces of the machine it was made on
                del node.metadata_props[:]
            for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
                del value.metadata_props[:]
            del model.graph.metadata_props[:], model.metadata_props[:]
            onnx.save(model, path)
            names.append(path)
    return names


def every_value(model, feeds):
    model = onnx.ModelProto.FromString(model.SerializeToString())
    known = {output.name for output in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in known:
                model.graph.output.append(onnx.ValueInfoProto(name=name))
    session = ort.InferenceSession(model.SerializeToString(), OPTIONS)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds)))


def shapes(paths):
    golden = {}
    for path in paths:
        model = onnx.load(path)
        golden[path] = {}
        for n in (1, 3):
            feeds = {}
            weights = {tensor.name for tensor in model.graph.initializer}
            for value in model.graph.input:
                if value.name in weights:
                    continue
                dims = [d.dim_value or n for d in value.type.tensor_type.shape.dim]
                ints = value.type.tensor_type.elem_type == TensorProto.INT64
                feeds[value.name] = np.zeros(dims, np.int64 if ints else np.float32)
            golden[path][n] = {k: [str(v.dtype), list(v.shape)] for k, v in every_value(model, feeds).items()}
    json.dump({"provenance": PROVENANCE, "models": golden}, open("shapes.json", "w"))


def sink():
    """One of everything that the codec looks into, with numbers at their limits."""
    big, small = 2**63 - 1, -(2**63)
    tensors = [
        helper.make_tensor("float_data", TensorProto.FLOAT, [3], [1.5, float("inf"), -0.0]),
        helper.make_tensor("double_data", TensorProto.DOUBLE, [2], [0.1, -1e308]),
        helper.make_tensor("int64_data", TensorProto.INT64, [4], [big, small, -1, 300]),
        helper.make_tensor("uint64_data", TensorProto.UINT64, [2], [2**64 - 1, 1]),
        helper.make_tensor("uint32_data", TensorProto.UINT32, [2], [2**32 - 1, 7]),
        helper.make_tensor("int32_data", TensorProto.INT32, [3], [-1, -(2**31), 2**31 - 1]),
        helper.make_tensor("int8_data", TensorProto.INT8, [2], [-128, 127]),
        helper.make_tensor("bool_data", TensorProto.BOOL, [2], [True, False]),
        helper.make_tensor("float16_data", TensorProto.FLOAT16, [2], [1.0, -2.0]),
        helper.make_tensor("string_data", TensorProto.STRING, [2], ["grün", ""]),
        helper.make_tensor("scalar", TensorProto.FLOAT, [], [2.0]),
        helper.make_tensor("empty", TensorProto.FLOAT, [0, 3], []),
        numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "raw"),
        numpy_helper.from_array(np.array([big, small], np.int64), "raw_int64"),
        helper.make_tensor("complex", TensorProto.COMPLEX64, [1], [1 + 2j]),
        helper.make_tensor("float8", TensorProto.FLOAT8E4M3FN, [2], [1.0, 2.0]),
    ]
    branch = helper.make_graph([helper.make_node("Identity", ["x"], ["b"])], "branch", [],
                               [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)])
    attributes = {
        "a_float": 0.1, "an_int": -5, "max": big, "min": small, "a_string": "naïve", "bytes": b"\xff\x00",
        "floats": [1.0, -0.5], "ints": [1, -1, big], "strings": ["a", ""], "a_tensor": tensors[0], "graph": branch,
        "tensors": tensors[:2], "a_type": helper.make_tensor_type_proto(1, [2]),
    }
    node = helper.make_node("Everything", ["x", "", "raw"], ["y", "", "z"], name="all", domain="custom", doc_string="a doc", **attributes)
    node.attribute.append(helper.make_attribute("documented", 3, doc_string="why three"))
    node.attribute.append(onnx.AttributeProto(name="empty_ints", type=onnx.AttributeProto.INTS))
    node.metadata_props.add(key="k", value="v")
    graph = helper.make_graph(
        [node, helper.make_node("Relu", ["y"], ["w"])], "sink",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, None]),
         helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, ["M"]),
         helper.make_tensor_value_info("c", TensorProto.COMPLEX64, [1])],
        [helper.make_tensor_value_info("w", TensorProto.FLOAT, None)], tensors, "graph doc",
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 0])])
    graph.input[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    function = helper.make_function("custom", "Twice", ["v"], ["r"], [helper.make_node("Add", ["v", "v"], ["r"])],
                                    [helper.make_opsetid("", 17)], ["alpha"])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("custom", 1)],
                              functions=[function], producer_name="golden", producer_version="1.2", doc_string="doc")
    model.model_version, model.domain = -3, "test"
    model.metadata_props.add(key="answer", value="42")
    # Fields that today's format does not have: a varint, a fixed64 and bytes at the model's end.
    unknown = b"\xf8\x3f\x07" + b"\xf9\x3f" + bytes(8) + b"\xfa\x3f\x02hi"
    open("sink.onnx", "wb").write(model.SerializeToString() + unknown)
    listed = {t.name: [t.data_type, list(t.dims), None if t.name in ("complex", "float8") else
                       [str(v.decode() if isinstance(v, bytes) else v) for v in numpy_helper.to_array(t).ravel().tolist()]]
              for t in tensors}
    json.dump({"provenance": PROVENANCE, "tensors": listed, "max": str(big), "min": str(small)},
              open("sink.json", "w"), ensure_ascii=False)


FOLDED = """<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
constants () => (float[2,3] moved, float[6] sliced, float[2,2,3] joined, float[3,2,3] picked, float[2,3] sums, int64[4] whole,
                 float[2,3] divided, int32[2,3] cast, float[2,3] called, float[4,2,3] spread, float[3] rows, int64[3] reversed)
<float[2,3] a = {1.5, -2.25, 3.0, 0.1, 5.5, -6.75}, float[3] b = {0.3, 0.7, -1.1}, int64[4] i = {7, -7, 9, -9}, int64[4] j = {2, 2, -4, -4},
 int64[3] k = {1, 0, 1}, int64[1] minus = {-1}, int64[1] zero = {0}, int64[1] one = {1}, int64[1] far = {9223372036854775807},
 int64[1] low = {-9223372036854775807}, int64[3] shape = {4, 2, 3}, int64[3] flip = {10, 20, 30}, int64[2] two = {3, 2}>
{
  r = Reshape (a, two)
  moved = Transpose <perm = [1, 0]> (r)
  flat = Reshape (a, minus)
  sliced = Slice (flat, minus, low, zero, minus)
  u = Unsqueeze (a, zero)
  v = Neg (u)
  joined = Concat <axis = 0> (u, v)
  picked = Gather <axis = 0> (joined, k)
  sums = Add (a, b)
  whole = Div (i, j)
  divided = Div (a, b)
  cast = Cast <to = 6> (a)
  called = local.Scaled <gain = 3.0> (a, b)
  spread = Expand (a, shape)
  rows = Slice (b, zero, far, zero, one)
  reversed = Slice (flip, minus, low, zero, minus)
}
<domain: "local", opset_import: ["" : 17, "local" : 1]>
Scaled <gain> (x, y) => (z)
{
  g = Constant <value_float: float = @gain> ()
  inner = local.Shifted (x, y)
  z = Mul (inner, g)
}
<domain: "local", opset_import: ["" : 17]>
Shifted (x, y) => (z)
{
  d = Sub (x, y)
  z = Abs (d)
}
"""


def folded():
    model = parser.parse_model(FOLDED)
    onnx.save(model, "folded.onnx")
    session = ort.InferenceSession("folded.onnx", OPTIONS)
    values = {o.name: [list(v.shape), v.ravel().tolist()] for o, v in zip(session.get_outputs(), session.run(None, {}))}
    json.dump({"provenance": PROVENANCE, "outputs": values}, open("folded.json", "w"))


def old():
    """Old broadcasting, an initializer among the inputs and Softmax over flattened axes: opset 8, IR 3."""
    nodes = [
        helper.make_node("BatchNormalization", ["x", "s", "s", "m", "m"], ["n"], epsilon=1e-3),
        helper.make_node("Clip", ["n"], ["c"], min=-1.0, max=2.0),
        helper.make_node("Dropout", ["c"], ["d", "mask"], ratio=0.25),
        helper.make_node("Softmax", ["d"], ["p"], axis=1),
        helper.make_node("ReduceSum", ["p"], ["t"], axes=[1, 2], keepdims=0),
        helper.make_node("Unsqueeze", ["t"], ["y"], axes=[1]),
        helper.make_node("Pad", ["y"], ["q"], pads=[0, 1, 0, 2], value=0.5),
        helper.make_node("Slice", ["q"], ["z"], starts=[1], ends=[9223372036854775807], axes=[1]),
    ]
    value = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
    ones = numpy_helper.from_array(np.ones(3, np.float32), "s")
    zeros = numpy_helper.from_array(np.zeros(3, np.float32), "m")
    graph = helper.make_graph(nodes, "old", [value("x", ["N", 3, 4]), value("s", [3]), value("m", [3])],
                              [value("z", ["N", 3])], [ones, zeros])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=3)
    onnx.checker.check_model(model)
    onnx.save(model, "old-8.onnx")
    return "old-8.onnx"


if __name__ == "__main__":
    shapes([*export(), old()])
    sink()
    folded()
