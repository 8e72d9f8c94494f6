"""
Golden of training a file that PyTorch exported: a small convolutional net with batch normalization and a softmax at its end, trained
by PyTorch in float64 with SGD and momentum on batches of 6, 6 and 3 rows, three epochs. Run: python3 make_training.py (torch, onnx)
"""
import json
import warnings

import onnx
import torch
from torch import nn

warnings.filterwarnings("ignore")
torch.manual_seed(1207)

net = nn.Sequential(
    nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(dim=1),
)
torch.onnx.export(
    net.eval(), torch.zeros(2, 1, 8, 8), "training.onnx", opset_version=17, dynamo=False, do_constant_folding=False,
    training=torch.onnx.TrainingMode.PRESERVE, input_names=["image"], output_names=["probabilities"],
    dynamic_axes={"image": {0: "batch"}, "probabilities": {0: "batch"}},
)

net = net.double()
images = torch.randn(15, 1, 8, 8).float().double()
labels = torch.randint(0, 3, (15,))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
losses = []
for epoch in range(3):
    for start, stop in ((0, 6), (6, 12), (12, 15)):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net.train()[:-1](images[start:stop]), labels[start:stop])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

with torch.no_grad():
    probabilities = net.eval()(images)


def numbers(tensor):
    return [float("%.10g" % value) for value in tensor.double().flatten().tolist()]


with open("training.json", "w") as out:
    json.dump({
        "provenance": f"torch {torch.__version__} float64, exported by torch.onnx (TorchScript, opset 17), onnx {onnx.__version__}",
        "images": numbers(images), "labels": labels.tolist(), "losses": losses,
        "state": {key: numbers(value) for key, value in net.state_dict().items() if "tracked" not in key},
        "probabilities": numbers(probabilities),
    }, out)
