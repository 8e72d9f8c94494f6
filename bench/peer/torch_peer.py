"""PyTorch's side of a benchmark: a JSON line in, a JSON line out, the same rows and the same numbers as imago's side.

Plain PyTorch as people write it, and the fastest that it has; each row's class says what its variants are.
"""
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F


def numbers(folder, name, dims, dtype=np.float32):
    return torch.from_numpy(np.fromfile(os.path.join(folder, name + ".bin"), dtype=dtype).reshape(dims))


def soft_target(student, teacher, labels, temperature, hard_weight):
    t = temperature
    soft = F.kl_div(F.log_softmax(student / t, 1), F.softmax(teacher / t, 1), reduction="batchmean") * t * t
    return (1 - hard_weight) * soft + hard_weight * F.cross_entropy(student, labels)


class Loss:
    """eager; torch.compile of the loss ("compile"); torch.compile of torch.func.grad_and_value ("gv"): one graph, no autograd engine."""

    def __init__(self, s, folder, variant):
        dims = (s["rows"], s["classes"])
        self.student = numbers(folder, "student", dims)
        if s["teacherType"] == "bfloat16":
            self.teacher = numbers(folder, "teacher", dims, np.int16).view(torch.bfloat16)
        else:
            self.teacher = numbers(folder, "teacher", dims)
        self.labels = numbers(folder, "labels", dims[0], np.int32).long()

        def loss(student, teacher, labels):
            return soft_target(student, teacher.float(), labels, s["temperature"], s["hardWeight"])

        if variant == "gv":
            self.function = torch.compile(torch.func.grad_and_value(loss), dynamic=False)
            self.step = self.together
        else:
            self.student.requires_grad_()
            self.function = loss if variant == "eager" else torch.compile(loss, dynamic=False)
            self.step = self.backward
        self.step()

    def backward(self):
        self.student.grad = None
        value = self.function(self.student, self.teacher, self.labels)
        value.backward()
        return value, self.student.grad

    def together(self):
        gradient, value = self.function(self.student, self.teacher, self.labels)
        return value, gradient

    def check(self):
        value, gradient = self.step()
        return value.item(), {"gradient": gradient}

    def run(self, iterations):
        for _ in range(iterations):
            self.step()

    def outcome(self):
        return self.step()[0].item()


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


rows = {"loss": Loss, "step": Step, "teacher": Teacher}
prepared = None


def answer(request):
    global prepared
    op = request["op"]
    if op == "hello":
        return {"torch": torch.__version__, "python": sys.version.split()[0], "threads": torch.get_num_threads()}
    if op == "prepare":
        prepared = None
        torch.compiler.reset()
        torch.manual_seed(1)
        torch.set_num_threads(request["threads"])
        prepared = rows[request["row"]](request["settings"], request["folder"], request["variant"])
        return {}
    if op == "check":
        value, tensors = prepared.check()
        for name, data in tensors.items():
            data.detach().contiguous().numpy().tofile(os.path.join(request["folder"], f"{request['prefix']}-{name}.bin"))
        return {"value": value, "tensors": list(tensors)}
    if op == "time":
        start = time.perf_counter()
        prepared.run(request["iterations"])
        return {"milliseconds": (time.perf_counter() - start) * 1e3 / request["iterations"]}
    if op == "outcome":
        return {"value": prepared.outcome()}
    raise ValueError(f"no such op: {op}")


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as error:  # noqa: BLE001 - the other side prints it
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
