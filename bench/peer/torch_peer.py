"""PyTorch's side of a benchmark: a JSON line in, a JSON line out, the same rows and the same numbers as imago's side.

Plain PyTorch as people write it, and the fastest that it has; each row's class says what its variants are.
"""
import gc
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from common import numbers, soft_target
from memory import Memory, forget_peak, status
from neighbors import Neighbors
from network import Step, Teacher
from optimizers import Adamw, Sgd
from specialists import Covariance, Eq5
from students import Student


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


class Dropout:
    def __init__(self, s, folder, variant):
        self.x = torch.ones(s["n"])

        def dropout(x):
            return F.dropout(x, s["probability"], training=True)

        self.step = dropout if variant == "eager" else torch.compile(dropout, dynamic=False)
        self.step(self.x)

    def check(self):
        return self.outcome(), {}

    def run(self, iterations):
        for _ in range(iterations):
            self.step(self.x)

    def outcome(self):
        return self.step(self.x).mean().item()


rows = {
    "adamw": Adamw,
    "covariance": Covariance,
    "dropout": Dropout,
    "eq5": Eq5,
    "loss": Loss,
    "memory": Memory,
    "neighbors": Neighbors,
    "sgd": Sgd,
    "step": Step,
    "student": Student,
    "teacher": Teacher,
}
prepared = None
before = 0


def answer(request):
    global prepared, before
    op = request["op"]
    if op == "hello":
        return {"torch": torch.__version__, "python": sys.version.split()[0], "threads": torch.get_num_threads()}
    if op == "prepare":
        prepared = None
        torch.compiler.reset()
        torch.manual_seed(1)
        torch.set_num_threads(request["threads"])
        row, settings, folder, variant = (request[key] for key in ("row", "settings", "folder", "variant"))
        if request.get("memory"):
            # A first call of everything, on nothing: what it loads and compiles is no memory of the case.
            rows[row]({**settings, "rows": 2, "classes": 8, "depth": 4, "k": 4}, folder, variant).run()
            gc.collect()
            before = status("VmRSS")
        if request.get("peak"):
            torch.nn.Linear(4, 4)(torch.zeros(1, 4)).sum().backward()
            before = status("VmRSS")
        prepared = rows[row](settings, folder, variant)
        return {}
    if op == "peak":
        forget_peak()
        start = time.perf_counter()
        outcome = prepared.run()
        return {"milliseconds": (time.perf_counter() - start) * 1e3, "bytes": status("VmHWM") - before, **outcome}
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
