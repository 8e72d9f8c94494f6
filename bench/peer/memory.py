"""The row of memory: one evaluation in a process of its own."""
import math

import numpy as np
import torch
import torch.nn.functional as F

from common import fill, soft_target


class Memory:
    """plain: eager; compiled: torch.compile of torch.func.grad_and_value; chunked (linear only): eager, 128 rows at a time."""

    def __init__(self, s, folder, variant):
        self.s = s
        rows, classes = s["rows"], s["classes"]
        self.labels = fill(folder, "labels", (rows,), np.int32).long() % classes
        if s["kind"] == "logits":
            if variant == "chunked":
                raise ValueError("of logits that are there nothing is gained by chunks")
            self.inputs = [fill(folder, "student", (rows, classes))]
            self.teacher = [fill(folder, "teacher", (rows, classes))]
        elif s["kind"] == "topk":
            k = s["k"]
            at = torch.arange(rows * k).view(rows, k)
            self.inputs = [fill(folder, "student", (rows, classes))]
            self.teacher = [fill(folder, "teacher", (rows, k)), ((at % k) * 997 + at // k) % classes]
        else:
            sizes = ((rows, s["depth"]), (classes, s["depth"]))
            self.inputs = [fill(folder, name, dims) for name, dims in zip(("hidden", "weight"), sizes)]
            self.teacher = [fill(folder, name, dims) for name, dims in zip(("teacherHidden", "teacherWeight"), sizes)]
        self.run = {"plain": self.plain, "compiled": self.compiled, "chunked": self.chunked}[variant]

    def loss(self, inputs, teacher, labels):
        if self.s["kind"] == "topk":
            return self.top_k(inputs[0], *teacher, labels)
        student = F.linear(*inputs) if len(inputs) == 2 else inputs[0]
        with torch.no_grad():
            target = F.linear(*teacher) if len(teacher) == 2 else teacher[0]
        return soft_target(student, target, labels, self.s["temperature"], self.s["hardWeight"])

    def top_k(self, student, values, indices, labels, tail=0.3):
        """KL of k + 1 buckets: the k classes share 1 - tail, all others are one."""
        t, a = self.s["temperature"], self.s["hardWeight"]
        p = F.softmax(values / t, 1) * (1 - tail)
        log_q = F.log_softmax(student / t, 1).gather(1, indices)
        rest = torch.log1p(-log_q.exp().sum(1))
        soft = (p * (p.log() - log_q)).sum(1) + tail * (math.log(tail) - rest)
        return (1 - a) * t * t * soft.mean() + a * F.cross_entropy(student, labels)

    def answer(self, value, gradient):
        return {"value": value, "gradient": gradient.flatten()[:4096].tolist()}

    def plain(self):
        inputs = [x.requires_grad_() for x in self.inputs]
        value = self.loss(inputs, self.teacher, self.labels)
        value.backward()
        return self.answer(value.item(), inputs[0].grad)

    def compiled(self):
        function = torch.func.grad_and_value(lambda inputs, teacher, labels: self.loss(inputs, teacher, labels))
        gradients, value = torch.compile(function, dynamic=False)(self.inputs, self.teacher, self.labels)
        return self.answer(value.item(), gradients[0])

    def chunked(self):
        hidden, weight = self.inputs
        weight.requires_grad_()
        gradient = torch.empty_like(hidden)
        total = 0.0
        for at in range(0, len(hidden), 128):
            chunk = slice(at, min(at + 128, len(hidden)))
            part = hidden[chunk].detach().requires_grad_()
            share = len(part) / len(hidden)
            value = share * self.loss([part, weight], [self.teacher[0][chunk], self.teacher[1]], self.labels[chunk])
            value.backward()
            gradient[chunk] = part.grad
            total += value.item()
        return self.answer(total, gradient)


def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))


def forget_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
