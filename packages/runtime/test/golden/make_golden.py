"""
Goldens of openStudent and openDifferentiable: small PyTorch nets exported to ONNX by PyTorch, and their outputs, gradients and running
statistics in float64. Run: python3 make_golden.py   (torch, onnx; versions are written into the JSON)
"""
import io
import json
import warnings

import onnx
import torch
from torch import nn

warnings.filterwarnings("ignore")
torch.manual_seed(20151503)

NETS = {
    "mlp": (nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 3)), (6,)),
    # LeNet-5 in small: convolution, pooling, flattening, dense layers; a softmax at the end, as files for use often have.
    "lenet": (
        nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2),
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4), nn.Softmax(dim=1),
        ),
        (1, 12, 12),
    ),
    "batchnorm": (
        nn.Sequential(
            nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4, momentum=0.1), nn.ReLU(),
            nn.Flatten(), nn.Linear(36, 6), nn.BatchNorm1d(6, momentum=0.3), nn.Sigmoid(), nn.Linear(6, 3),
        ),
        (2, 5, 5),
    ),
}


def numbers(tensor):
    return [float("%.10g" % value) for value in tensor.detach().double().flatten().tolist()]


def golden(name, net, shape):
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    file = io.BytesIO()
    torch.onnx.export(
        net.eval(), torch.zeros(2, *shape), file, opset_version=17, dynamo=False, do_constant_folding=False,
        training=torch.onnx.TrainingMode.EVAL if name != "batchnorm" else torch.onnx.TrainingMode.PRESERVE,
        input_names=["image"], output_names=["out"], dynamic_axes={"image": {0: "batch"}, "out": {0: "batch"}},
    )
    model = onnx.load_from_string(file.getvalue())
    onnx.save(model, name + ".onnx")

    net = net.double()
    logits = net[:-1] if isinstance(net[-1], nn.Softmax) else net
    cases = []
    for rows in (6, 3):
        inputs = torch.randn(rows, *shape).float().double()
        classes = logits.eval()(inputs).shape[1]
        cotangent = torch.randn(rows, classes).float().double()
        inference = numbers(logits.eval()(inputs))
        before = {key: value.clone() for key, value in net.state_dict().items()}
        net.zero_grad()
        out = logits.train()(inputs)
        out.backward(cotangent)
        cases.append({
            "inputs": {"dims": list(inputs.shape), "data": numbers(inputs)},
            "cotangent": {"dims": list(cotangent.shape), "data": numbers(cotangent)},
            "inference": inference,
            "outputs": numbers(out),
            "gradients": {key: numbers(value.grad) for key, value in net.named_parameters()},
            "statistics": {key: numbers(value) for key, value in net.state_dict().items() if "running" in key},
        })
        net.load_state_dict(before)
    provenance = f"torch {torch.__version__} float64, exported by torch.onnx (TorchScript, opset 17), onnx {onnx.__version__}"
    with open(name + ".json", "w") as out:
        json.dump({"provenance": provenance, "cases": cases}, out)
    print(name, [(node.op_type, list(node.input), list(node.output)) for node in model.graph.node])


for name, (net, shape) in NETS.items():
    golden(name, net, shape)
