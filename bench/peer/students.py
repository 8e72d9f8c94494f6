"""The row of exported students: nets at the sizes of their papers, exported by PyTorch, trained there and here.

students.py NAME BATCH FOLDER writes student.onnx (TorchScript exporter, training mode), weights.pt and the batch.
"""
import os
import sys
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from common import numbers, soft_target

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../test/golden/students"))
from convnets import Inverted, Mobile, ResNet  # noqa: E402
from sequences import Attention  # noqa: E402


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = F.max_pool2d(torch.relu(self.conv2(x)), 2)
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x.flatten(1))))))


def mobilenet_v2():
    """Sandler et al. 2018, table 2."""
    table = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    blocks, cin = [], 32
    for expand, cout, count, stride in table:
        for i in range(count):
            blocks.append(Inverted(cin, cout, stride if i == 0 else 1, expand))
            cin = cout
    return Mobile(32, blocks, (320, 1280), nn.ReLU6)


class Block(nn.Module):
    """pre: normalization before each half, as in ViT; else after it, as in BERT."""

    def __init__(self, width, heads, pre):
        super().__init__()
        self.pre, self.attention = pre, Attention(width, heads)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def mlp(self, x):
        return self.narrow(F.gelu(self.wide(x)))

    def forward(self, x, mask=None):
        if self.pre:
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))
        x = self.norm1(x + self.attention(x, mask))
        return self.norm2(x + self.mlp(x))


class Bert(nn.Module):
    def __init__(self, width=256, depth=4, heads=4, length=64, words=8192):
        super().__init__()
        self.words, self.positions = nn.Embedding(words, width), nn.Parameter(torch.randn(length, width) * 0.02)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)
        self.layers = nn.ModuleList([Block(width, heads, False) for _ in range(depth)])

    def forward(self, ids):
        x = self.norm(self.words(ids) + self.positions)
        for layer in self.layers:
            x = layer(x)
        return self.head(x[:, 0])


class ViT(nn.Module):
    def __init__(self, width=192, depth=4, heads=3):
        super().__init__()
        self.patch, self.token = nn.Conv2d(3, width, 4, 4), nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, 65, width) * 0.02)
        self.blocks = nn.Sequential(*[Block(width, heads, True) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


def mlp():
    return nn.Sequential(nn.Linear(784, 800), nn.ReLU(), nn.Linear(800, 800), nn.ReLU(), nn.Linear(800, 10))


# name → the net, the dims of one row
STUDENTS = {
    "mlp": (mlp, [784]),
    "lenet5": (LeNet5, [1, 28, 28]),
    "resnet8x4": (lambda: ResNet([1, 1, 1], [64, 128, 256], "3x3"), [3, 32, 32]),
    "resnet18": (lambda: ResNet([2, 2, 2, 2], [64, 128, 256, 512], "7x7"), [3, 64, 64]),
    "mobilenet-v2": (mobilenet_v2, [3, 64, 64]),
    "bert": (Bert, [64]),
    "vit": (ViT, [3, 32, 32]),
}


def write(name, batch, folder):
    torch.manual_seed(1)
    make, dims = STUDENTS[name]
    net = make().train()
    x = torch.randint(0, 8192, (batch, *dims)) if name == "bert" else torch.randn(batch, *dims)
    x.numpy().tofile(os.path.join(folder, "x.bin"))
    torch.save(net.state_dict(), os.path.join(folder, "weights.pt"))
    warnings.filterwarnings("ignore")
    torch.onnx.export(net, (x[:2],), os.path.join(folder, "student.onnx"), dynamo=False, opset_version=17,
                      training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
                      input_names=["input"], output_names=["logits"], dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}})


class Student:
    """eager; SGD as it chooses its implementation ("default") and with fused=True."""

    def __init__(self, s, folder, variant):
        self.s = s
        make, dims = STUDENTS[s["student"]]
        self.model = make().train()
        self.model.load_state_dict(torch.load(os.path.join(folder, "weights.pt")))
        batch = s["batch"]
        self.x = numbers(folder, "x", (batch, *dims), np.int64 if s["student"] == "bert" else np.float32)
        self.teacher = numbers(folder, "teacher", (batch, 10))
        self.labels = numbers(folder, "labels", batch, np.int32).long()
        kind = {"default": {}, "fused": {"fused": True}}[variant]
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=s["rate"], momentum=s["momentum"], **kind)

    def step(self):
        self.optimizer.zero_grad()
        value = soft_target(self.model(self.x), self.teacher, self.labels, self.s["temperature"], self.s["hardWeight"])
        value.backward()
        self.optimizer.step()
        return value

    def check(self):
        value = self.step().item()
        named = sorted(self.model.named_parameters())
        return value, {
            "gradients": torch.cat([p.grad.flatten() for _, p in named]),
            "parameters": torch.cat([p.detach().flatten() for _, p in named]),
        }

    def run(self, iterations=3):
        for _ in range(iterations):
            self.step()
        return {}

    def outcome(self):
        return self.step().item()


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), sys.argv[3])
