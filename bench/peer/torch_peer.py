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


class Sgd:
    """torch.optim.SGD by foreach or fused, with norm and mul for the max-norm; fused and torch.renorm.

    "compile": the step written out and compiled; with max-norm fused=True and a compiled norm and mul, since PyTorch 2.13 does not
    compile the two together in place (InductorError), and not in place they are slower.
    """

    def __init__(self, s, folder, variant):
        dims = (s["rows"], s["columns"])
        self.weight = numbers(folder, "weight", dims)
        self.weight.grad = numbers(folder, "gradient", dims)
        limit = s["maxSquaredNorm"] ** 0.5 if "maxSquaredNorm" in s else None

        def hold(w):
            w.mul_((limit / w.norm(dim=1, keepdim=True)).clamp_(max=1))

        def renorm(w):
            torch.renorm(w, 2, 0, limit, out=w)

        if variant == "compile":
            hold = torch.compile(hold, dynamic=False)
            if limit is not None:
                hold(self.weight.clone())
        kind = {"foreach": True} if variant == "foreach" else {"fused": True}
        hyper = {"lr": s["rate"], "momentum": s["momentum"], "weight_decay": s["weightDecay"]}
        optimizer = torch.optim.SGD([self.weight], **hyper, **kind)
        after = renorm if variant == "renorm" else hold
        if variant == "compile" and limit is None:
            optimizer.step = written_out(self.weight, dims, s)

        def step():
            optimizer.step()
            if limit is not None:
                after(self.weight)

        self.step = step

    @torch.no_grad()
    def check(self):
        self.run(3)
        return self.weight[0, 0].item(), {"weight": self.weight}

    @torch.no_grad()
    def run(self, iterations):
        for _ in range(iterations):
            self.step()

    def outcome(self):
        return self.weight.sum().item()


def written_out(weight, dims, s):
    velocity = torch.zeros(dims)

    def step(w, g, v):
        v.mul_(s["momentum"]).add_(g + s["weightDecay"] * w)
        w.sub_(s["rate"] * v)

    function = torch.compile(step, dynamic=False)
    # Compiled on a copy: it is not to be a step.
    function(weight.clone(), weight.grad, velocity)
    velocity.zero_()
    return lambda: function(weight, weight.grad, velocity)


class Adamw:
    """torch.optim.AdamW by foreach or fused; the step written out and compiled."""

    def __init__(self, s, folder, variant):
        self.weight = numbers(folder, "weight", (s["n"],))
        self.weight.grad = numbers(folder, "gradient", (s["n"],))
        rate, decay, beta1, beta2, epsilon = s["rate"], s["weightDecay"], 0.9, 0.999, 1e-8
        if variant != "compile":
            optimizer = torch.optim.AdamW([self.weight], lr=rate, weight_decay=decay, **{variant: True})
            self.step = optimizer.step
            return

        def step(w, g, m, v, scale, root):
            m.mul_(beta1).add_(g, alpha=1 - beta1)
            v.mul_(beta2).add_(g * g, alpha=1 - beta2)
            w.mul_(1 - rate * decay).sub_(scale * m / (v.sqrt() * root + epsilon))

        function = torch.compile(step, dynamic=False)
        m, v = torch.zeros(s["n"]), torch.zeros(s["n"])
        self.done = 0

        def run():
            self.done += 1
            # As tensors: a number that changes would be compiled anew.
            scale = torch.tensor(rate / (1 - beta1**self.done))
            root = torch.tensor((1 - beta2**self.done) ** -0.5)
            function(self.weight, self.weight.grad, m, v, scale, root)

        function(self.weight.clone(), self.weight.grad, m, v, torch.tensor(1.0), torch.tensor(1.0))
        m.zero_()
        v.zero_()
        self.step = run

    @torch.no_grad()
    def check(self):
        self.run(3)
        return self.weight[0].item(), {"weight": self.weight}

    @torch.no_grad()
    def run(self, iterations):
        for _ in range(iterations):
            self.step()

    def outcome(self):
        return self.weight.sum().item()


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
        else:
            sizes = ((rows, s["depth"]), (classes, s["depth"]))
            self.inputs = [fill(folder, name, dims) for name, dims in zip(("hidden", "weight"), sizes)]
            self.teacher = [fill(folder, name, dims) for name, dims in zip(("teacherHidden", "teacherWeight"), sizes)]
        self.run = {"plain": self.plain, "compiled": self.compiled, "chunked": self.chunked}[variant]

    def loss(self, inputs, teacher, labels):
        student = F.linear(*inputs) if len(inputs) == 2 else inputs[0]
        with torch.no_grad():
            target = F.linear(*teacher) if len(teacher) == 2 else teacher[0]
        return soft_target(student, target, labels, self.s["temperature"], self.s["hardWeight"])

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


def fill(folder, name, dims, dtype=np.float32):
    """A file's numbers, again from its beginning until the tensor is full."""
    data = np.empty(dims, dtype)
    flat = data.reshape(-1)
    block = np.fromfile(os.path.join(folder, name + ".bin"), dtype)
    for at in range(0, flat.size, block.size):
        flat[at : at + block.size] = block[: flat.size - at]
    return torch.from_numpy(data)


def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))


def forget_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


rows = {"adamw": Adamw, "dropout": Dropout, "loss": Loss, "memory": Memory, "sgd": Sgd, "step": Step, "teacher": Teacher}
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
            rows[row]({**settings, "rows": 2, "classes": 8, "depth": 4}, folder, variant).run()
            gc.collect()
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
