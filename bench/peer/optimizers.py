"""The rows of optimizers."""

import torch

from common import numbers


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
