"""Writes optimizers.json: trajectories of torch.optim (float64) that packages/optim must follow.

Run: python3 packages/optim/test/golden/make_optimizers.py
"""
import json
import os
import platform

import numpy as np
import torch

STEPS = 6
DIMS = {"w1": [5, 4], "b1": [5], "w2": [4, 3]}
random = np.random.RandomState(7)


def draw(scale):
    return {k: np.float32(random.standard_normal(d) * scale).astype(np.float64) for k, d in DIMS.items()}


start = draw(1.0)
gradients = [draw(1.0) for _ in range(STEPS)]


def fresh():
    return {k: torch.nn.Parameter(torch.tensor(v)) for k, v in start.items()}


def flat(p):
    return {k: [float(f"{x:.10g}") for x in v.detach().numpy().ravel()] for k, v in p.items()}


def follow(make, clip=None, after=None, schedule=None):
    p = fresh()
    optimizer = make(p)
    norms, rates = [], []
    plan = schedule(optimizer) if schedule else None
    for step in gradients:
        for k in p:
            p[k].grad = torch.tensor(step[k])
        if clip is not None:
            norms.append(float(torch.nn.utils.clip_grad_norm_(list(p.values()), clip)))
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if plan:
            plan.step()
        if after:
            after(p)
    return {"norms": norms, "rates": rates, "parameters": flat(p)}


def matrices(p):
    return [v for v in p.values() if v.dim() > 1]


def biases(p):
    return [v for v in p.values() if v.dim() < 2]


def hold(limit):
    def after(p):
        with torch.no_grad():
            p["w1"].copy_(torch.renorm(p["w1"], 2, 0, limit**0.5))  # rows
            p["w2"].copy_(torch.renorm(p["w2"], 2, 1, limit**0.5))  # columns

    return after


def hinton(rate, decay, first, last, ramp, steps_per_epoch, limit):
    """arXiv 1207.0580, appendix A.1, as it is printed: dw = p dw - (1 - p) e g; w = w + dw."""
    w = {k: v.copy() for k, v in start.items()}
    d = {k: np.zeros_like(v) for k, v in start.items()}
    for i, g in enumerate(gradients):
        t = i // steps_per_epoch
        p = (t / ramp) * last + (1 - t / ramp) * first if t < ramp else last
        for k in w:
            d[k] = p * d[k] - (1 - p) * rate * decay**t * g[k]
            w[k] = w[k] + d[k]
        w["w1"] *= np.minimum(1, np.sqrt(limit / (w["w1"] ** 2).sum(1, keepdims=True)))
        w["w2"] *= np.minimum(1, np.sqrt(limit / (w["w2"] ** 2).sum(0, keepdims=True)))
    return {"parameters": {k: [float(f"{x:.10g}") for x in v.ravel()] for k, v in w.items()}}


sgd, adamw = torch.optim.SGD, torch.optim.AdamW
cases = {
    "sgd": follow(lambda p: sgd(p.values(), lr=0.1)),
    "sgd momentum": follow(lambda p: sgd(p.values(), lr=0.05, momentum=0.9)),
    "sgd decay": follow(lambda p: sgd(p.values(), lr=0.05, momentum=0.9, weight_decay=0.1)),
    "sgd decay of matrices": follow(
        lambda p: sgd([{"params": matrices(p), "weight_decay": 0.1}, {"params": biases(p)}], lr=0.05, momentum=0.9)
    ),
    "sgd clip": follow(lambda p: sgd(p.values(), lr=0.1, momentum=0.5), clip=2.0),
    "sgd max-norm": follow(lambda p: sgd(p.values(), lr=0.1, momentum=0.5), after=hold(1.5)),
    "adamw": follow(lambda p: adamw(p.values(), lr=0.01, weight_decay=0.1)),
    "adamw of matrices": follow(
        lambda p: adamw(
            [{"params": matrices(p), "weight_decay": 0.2}, {"params": biases(p), "weight_decay": 0.0}],
            lr=0.02,
            betas=(0.8, 0.95),
            eps=1e-6,
        )
    ),
    "adamw cosine clip": follow(
        lambda p: adamw(p.values(), lr=0.03, weight_decay=0.0),
        clip=1.0,
        schedule=lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.003),
    ),
    "adamw max-norm": follow(lambda p: adamw(p.values(), lr=0.05, weight_decay=0.0), after=hold(1.5)),
    "hinton2012": hinton(0.3, 0.9, 0.5, 0.9, 2, 2, 1.5),
}
out = {
    "provenance": {
        "script": "make_optimizers.py",
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "dtype": "float64; start and gradients are float32 numbers",
    },
    "dims": DIMS,
    "start": {k: v.ravel().tolist() for k, v in start.items()},
    "gradients": [{k: v.ravel().tolist() for k, v in g.items()} for g in gradients],
    "cases": cases,
}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "optimizers.json"), "w") as f:
    json.dump(out, f)
    f.write("\n")
