"""The row of whole training steps, and of a teacher's logits."""

import numpy as np
import torch
import torch.nn.functional as F

from common import numbers, soft_target


class Mlp(torch.nn.Module):
    def __init__(self, sizes, dropout=None):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.dropout = dropout

    def forward(self, x, masks=None):
        x = self.drop(x, "input", masks, 0)
        for i, layer in enumerate(self.layers[:-1], 1):
            x = self.drop(F.relu(layer(x)), "hidden", masks, i)
        return self.layers[-1](x)

    def drop(self, x, where, masks, i):
        if not self.dropout:
            return x
        return F.dropout(x, self.dropout[where], self.training) if masks is None else x * masks[i]

    def load(self, folder):
        with torch.no_grad():
            for i, layer in enumerate(self.layers, 1):
                layer.weight.copy_(numbers(folder, f"fc{i}.weight", layer.weight.shape))
                layer.bias.copy_(numbers(folder, f"fc{i}.bias", layer.bias.shape))
        return self


class Step:
    def __init__(self, s, folder, variant):
        self.s = s
        self.folder = folder
        self.model = Mlp(s["sizes"], s.get("dropout")).load(folder)
        batch, classes = s["batch"], s["sizes"][-1]
        self.x = numbers(folder, "x", (batch, s["sizes"][0]))
        self.teacher = numbers(folder, "teacher", (batch, classes))
        self.labels = numbers(folder, "labels", batch, np.int32).long()
        kind = {"default": {}, "fused": {"fused": True}}[variant]
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=s["rate"], momentum=s["momentum"], **kind)
        self.hidden = [layer.weight for layer in self.model.layers[:-1]]

    def step(self, masks=None):
        self.optimizer.zero_grad()
        value = soft_target(self.model(self.x, masks), self.teacher, self.labels, self.s["temperature"], self.s["hardWeight"])
        value.backward()
        self.optimizer.step()
        if "maxSquaredNorm" in self.s:
            limit = self.s["maxSquaredNorm"] ** 0.5
            with torch.no_grad():
                for w in self.hidden:
                    # Faster than torch.renorm, which does the same.
                    w.mul_((limit / w.norm(dim=1, keepdim=True)).clamp_(max=1))
        return value

    def check(self):
        """One step; with the other side's dropout masks, which it has written."""
        masks = None
        if "dropout" in self.s:
            widths = self.s["sizes"][:-1]
            masks = [numbers(self.folder, f"mask{i}", (self.s["batch"], n)) for i, n in enumerate(widths)]
        value = self.step(masks).item()
        tensors = {}
        for i, layer in enumerate(self.model.layers, 1):
            for name in ("weight", "bias"):
                p = getattr(layer, name)
                tensors[f"fc{i}.{name}.gradient"] = p.grad
                tensors[f"fc{i}.{name}"] = p.detach()
        return value, tensors

    def run(self, iterations):
        for _ in range(iterations):
            self.step()

    def outcome(self):
        return self.step().item()


class Teacher:
    def __init__(self, s, folder, variant):
        self.model = Mlp(s["sizes"]).load(folder).eval()
        self.x = numbers(folder, "x", (s["batch"], s["sizes"][0]))

    def check(self):
        with torch.inference_mode():
            logits = self.model(self.x)
        return logits.abs().mean().item(), {"logits": logits}

    def run(self, iterations):
        with torch.inference_mode():
            for _ in range(iterations):
                self.model(self.x)

    def outcome(self):
        with torch.inference_mode():
            return self.model(self.x)[0, 0].item()
