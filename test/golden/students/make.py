"""
Students as PyTorch's two exporters write them, without weights, and how PyTorch trains each: 20 steps of SGD with momentum in
float64. Run in this folder: python3 make.py [name …] (torch, onnx, onnxscript). Weights, rows, labels and dropout masks come from Philox
on both sides (philox.py, packages/tensor); nothing of them is stored.

<name>.onnx is written by the TorchScript exporter, <name>.dynamo.onnx by the torch.export one, both in training mode and with neither
constant folding nor optimization; weights are said to lie elsewhere, and what only humans read (doc strings, source lines, shapes of intermediates) is taken out.
<name>.json: `fill` (weight → dims, centre, spread), what goes in, losses of all steps, gradient norms of the first, and of each weight
and running statistic after the last step 64 elements (base64 of float32) and the norm of how far it moved.
"""
import base64
import json
import logging
import sys
import warnings

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from torch import nn

from convnets import (DenseNet, LeNet5, ResNet, ShuffleNet, SqueezeNet, UNet, WideResNet, efficientnet, mobilenet_v2, mobilenet_v3)
from philox import Rng
from sequences import (Attention, Bert, BiLstm, Encoder, GruAcoustic, MiniLM, SdpaAttention, Tdnn, ViT, dense)

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
torch.set_num_threads(1)

SEED = 20260401
BATCHES = [8, 8, 5]
STEPS = 20
SAMPLES = 64

image = {"image": {"dims": [3, 16, 16]}}
frames = {"frames": {"dims": [20, 8]}}
words = {"input_ids": {"dims": [12], "below": 50}, "attention_mask": {"dims": [12], "mask": True}}

# Where a batch hits a kink, float32 parts from float64 whoever computes it: at 32 × 32 and 56 × 56 pixels PyTorch in float32 ends
# 0.3 to 20 % away from itself in float64 with resnet18, at 64 × 64 within 2e-6. So its images are of that size.
# name → the net, its inputs, its loss, the rate, the opsets of the two exporters
STUDENTS = {
    "mlp": (lambda: dense([30, 24, 24, 10], nn.ReLU), {"rows": {"dims": [30]}}, 10, 0.05, 13, 18),
    "lenet5": (LeNet5, {"image": {"dims": [1, 16, 16]}}, 10, 0.02, 13, 18),
    "resnet8x4": (lambda: ResNet([1, 1, 1], [8, 16, 24], "3x3"), image, 10, 0.01, 13, 18),
    "resnet18": (lambda: ResNet([2, 2, 2, 2], [4, 8, 12, 16], "7x7"), {"image": {"dims": [3, 64, 64]}}, 10, 0.01, 14, 20),
    "wrn-16-2": (WideResNet, image, 10, 0.01, 15, 18),
    "mobilenet-v2": (mobilenet_v2, image, 10, 0.01, 13, 18),
    "mobilenet-v3": (mobilenet_v3, image, 10, 0.01, 14, 20),
    "shufflenet-v2": (ShuffleNet, image, 10, 0.01, 14, 18),
    "squeezenet": (SqueezeNet, image, 10, 0.02, 13, 20),
    "efficientnet": (efficientnet, image, 10, 0.01, 16, 21),
    "densenet": (DenseNet, image, 10, 0.01, 17, 18),
    "vit-token": (lambda: ViT(lambda: Attention(16, 2), "token"), image, 10, 0.02, 17, 20),
    "vit-mean": (lambda: ViT(lambda: SdpaAttention(16, 2), "mean"), image, 10, 0.02, 14, 18),
    "bert": (lambda: Bert(lambda: Attention(16, 2, 0.1), 0.1), words, 4, 0.02, 13, 20),
    "bert-sdpa": (lambda: Bert(lambda: SdpaAttention(16, 2)), words, 4, 0.02, 14, 18),
    "minilm": (MiniLM, words, 4, 0.02, 17, 21),
    "transformer-encoder": (Encoder, frames, 5, 0.02, 17, 18),
    "gru-acoustic": (GruAcoustic, frames, "frames:6", 0.05, 14, 18),
    "bilstm": (BiLstm, {"input_ids": {"dims": [9], "below": 40}}, 3, 0.1, 14, 18),
    "sigmoid-dnn": (lambda: dense([30] + [20] * 8 + [5], nn.Sigmoid), {"rows": {"dims": [30]}}, 5, 0.2, 13, 18),
    "dnn-bn": (lambda: dense([30, 24, 24, 24, 5], nn.ELU, True), {"rows": {"dims": [30]}}, 5, 0.02, 15, 20),
    "tdnn": (Tdnn, {"frames": {"dims": [8, 28]}}, 5, 0.01, 14, 18),
    "unet": (UNet, {"image": {"dims": [2, 16, 16]}}, "squares", 0.05, 16, 21),
}


def spread_of(net):
    """Weight → (centre, spread): uniform in centre ± spread."""
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d)
    kinds = {f"{path}.{own}".lstrip("."): (module, own) for path, module in net.named_modules()
             for own, _ in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]}
    made, trained = {}, dict(net.named_parameters())
    for name, value in net.state_dict().items():
        if not value.is_floating_point():
            continue
        module, own = kinds[name]
        # Other buffers (masks, positions) are constants of the module, and stay in the file.
        if name not in trained and not own.startswith("running_"):
            continue
        if own == "running_var":
            made[name] = (1.0, 0.25)
        elif own == "running_mean":
            made[name] = (0.0, 0.25)
        elif isinstance(module, norms):
            made[name] = (1.0, 0.25) if own == "weight" else (0.0, 0.125)
        elif isinstance(module, nn.PReLU):
            made[name] = (0.25, 0.125)
        elif isinstance(module, nn.Embedding) or value.dim() == 1 or not own.startswith(("weight", "in_proj_weight")):
            made[name] = (0.0, 1.0 if isinstance(module, nn.Embedding) else 0.125)
        else:
            fan = value[0].numel() if not isinstance(module, nn.ConvTranspose2d) else value.shape[0]
            gain = 3.0 if isinstance(module, nn.Linear) else 6.0
            made[name] = (0.0, float(np.float32((gain / fan) ** 0.5)))
    return made


def draw(random, name, dims, centre=0.0, spread=1.0):
    count = int(np.prod(dims))
    return np.float32(centre + spread * (2 * random.split(name).uniform(count) - 1)).reshape(dims)


def whole(random, name, dims, below):
    return (random.split(name).words(int(np.prod(dims))) % np.uint64(below)).astype(np.int64).reshape(dims)


def batch_of(random, inputs, rows, classes, output_dims):
    made = {}
    for name, spec in inputs.items():
        dims = [rows, *spec["dims"]]
        if "below" in spec:
            made[name] = whole(random, name, dims, spec["below"])
        elif "mask" in spec:
            # Every row keeps its first four words, and then as many as it draws.
            length = 4 + whole(random, name, [rows], dims[1] - 3)
            made[name] = (np.arange(dims[1])[None] < length[:, None]).astype(np.int64)
        else:
            made[name] = draw(random, name, dims)
    if classes == "squares":
        target = draw(random, "target", [rows, *output_dims])
    elif isinstance(classes, str):
        target = whole(random, "target", [rows, output_dims[0]], int(classes.split(":")[1]))
    else:
        target = whole(random, "target", [rows], classes)
    return made, target


def loss_of(output, target, classes):
    if classes == "squares":
        return F.mse_loss(output, target) / 2
    if isinstance(classes, str):
        return F.cross_entropy(output.flatten(0, 1), target.flatten())
    return F.cross_entropy(output, target)


class Masks:
    """F.dropout with masks of the stream that imago feeds: a generator a step, drawn in the order of the net."""

    def __init__(self, random, channels=False):
        self.random, self.channels = random, channels

    def __call__(self, x, p=0.5, training=True, inplace=False):
        if not training or p == 0:
            return x
        dims = [*x.shape[:2], *[1] * (x.dim() - 2)] if self.channels else list(x.shape)
        return x * torch.from_numpy(self.random.dropout_mask(int(np.prod(dims)), p).reshape(dims))


def train(name, net, inputs, classes, rate):
    random = Rng(SEED).split(name)
    net = net.double().train()
    output_dims = None
    with torch.no_grad():
        probe, _ = batch_of(random, inputs, 2, 2, None)
        output_dims = list(net.eval()(*[tensor(v) for v in probe.values()]).shape[1:])
    net.train()
    batches = [batch_of(random.split(f"batch {i}"), inputs, rows, classes, output_dims) for i, rows in enumerate(BATCHES)]
    parameters = dict(net.named_parameters())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    optimizer = torch.optim.SGD(parameters.values(), lr=rate, momentum=0.9)
    losses, norms = [], {}
    plain = F.dropout, F.dropout2d
    for step in range(STEPS):
        given, target = batches[step % len(batches)]
        drawing = random.split(f"dropout {step}")
        F.dropout, F.dropout2d = Masks(drawing), Masks(drawing, True)
        optimizer.zero_grad()
        loss = loss_of(net(*[tensor(v) for v in given.values()]), tensor(target), classes)
        loss.backward()
        if step == 0:
            norms = {key: value.grad.norm().item() for key, value in parameters.items()}
        optimizer.step()
        losses.append(loss.item())
    F.dropout, F.dropout2d = plain
    after = {}
    for key, value in net.state_dict().items():
        if key not in spread_of(net):
            continue
        flat = value.flatten().numpy()
        at = sampled(random, key, flat.size)
        after[key] = {
            "moved": float(f"{(value - before[key]).norm().item():.9g}"),
            "norm": float(f"{value.norm().item():.9g}"),
            "sample": base64.b64encode(flat[at].astype("<f4").tobytes()).decode(),
        }
    return {"output": output_dims, "losses": [float(f"{x:.9g}") for x in losses],
            "gradients": {key: float(f"{x:.9g}") for key, x in norms.items()}, "after": after}


def tensor(value):
    return torch.from_numpy(value).double() if value.dtype == np.float32 else torch.from_numpy(value)


def sampled(random, key, count):
    if count <= SAMPLES:
        return np.arange(count)
    return (random.split(f"sample {key}").words(SAMPLES) % np.uint64(count)).astype(np.int64)


def export(name, net, inputs, opset, dynamo_opset, weights):
    export_traced(f"{name}.onnx", net, inputs, opset, weights)
    export_dynamo(f"{name}.dynamo.onnx", net, inputs, dynamo_opset, weights)


def example(inputs):
    given = tuple(torch.zeros(2, *spec["dims"], dtype=torch.long if len(spec) > 1 else torch.float32) for spec in inputs.values())
    return (given[0], torch.ones(2, 12, dtype=torch.long)) if "attention_mask" in inputs else given


def export_traced(path, net, inputs, opset, weights):
    torch.onnx.export(
        net.float().train(), example(inputs), path, dynamo=False, opset_version=opset, training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False, input_names=list(inputs), output_names=["logits"],
        dynamic_axes={key: {0: "batch"} for key in [*inputs, "logits"]})
    strip(path, weights)


def export_dynamo(path, net, inputs, opset, weights):
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(
        net.float().train(), example(inputs), dynamo=True, opset_version=opset, optimize=False, verbose=False,
        input_names=list(inputs), output_names=["logits"], dynamic_shapes=tuple({0: batch} for _ in inputs))
    program.save(path)
    strip(path, weights)


def strip(path, weights):
    model = onnx.load(path, load_external_data=False)
    model.doc_string = ""
    del model.metadata_props[:]
    for graph in [model.graph, *model.functions]:
        graph.doc_string = ""
        del graph.metadata_props[:]
        del graph.value_info[:]
        for node in graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output]:
        value.doc_string = ""
        del value.metadata_props[:]
    for constant in model.graph.initializer:
        constant.doc_string = ""
        del constant.metadata_props[:]
        if constant.name in weights:
            constant.ClearField("raw_data")
            constant.ClearField("float_data")
            constant.data_location = onnx.TensorProto.EXTERNAL
            constant.external_data.add(key="location", value="seeded")
    missing = set(weights) - {constant.name for constant in model.graph.initializer}
    if missing:
        print(f"  {path}: not in the file by name: {', '.join(sorted(missing))}")
    onnx.save(model, path)


def weights_of(net):
    state = net.state_dict()
    return {key: {"dims": list(state[key].shape), "centre": c, "spread": s} for key, (c, s) in spread_of(net).items()}


def write(name, net, inputs, classes, rate, weights, exporters):
    """Fill the net, train it, write what came of it. After the exports, which run the net and so move its statistics."""
    random = Rng(SEED).split(name)
    state = net.state_dict()
    for key, fill in weights.items():
        state[key].copy_(torch.from_numpy(draw(random, f"weight {key}", **fill)))
    golden = train(name, net, inputs, classes, rate)
    provenance = f"torch {torch.__version__} float64; torch.onnx {exporters}; onnx {onnx.__version__}; make.py"
    with open(f"{name}.json", "w") as out:
        json.dump({"provenance": provenance, "seed": SEED, "batches": BATCHES, "rate": rate, "momentum": 0.9, "inputs": inputs,
                   "target": classes, "fill": weights, **golden}, out)
        out.write("\n")
    moved = max(v["moved"] / v["norm"] for v in golden["after"].values())
    print(f"{name}: {len(weights)} tensors, loss {golden['losses'][0]:.4g} → {golden['losses'][-1]:.4g}, moved up to {moved:.2g}", flush=True)


def main():
    for name in sys.argv[1:] or STUDENTS:
        make, inputs, classes, rate, opset, dynamo_opset = STUDENTS[name]
        torch.manual_seed(0)
        net = make()
        weights = weights_of(net)
        export(name, net, inputs, opset, dynamo_opset, weights)
        write(name, net, inputs, classes, rate, weights, f"TorchScript opset {opset}, torch.export opset {dynamo_opset}")


main()
