"""Twenty steps of a small MLP in PyTorch, for test/convergence/trajectory.test.ts.

Run: python3 make_sgd_trajectory.py  (writes sgd-trajectory.json beside itself; needs torch and numpy)

784-less on purpose: 12-16-16-5 keeps the file small, and every op of the large nets is in it. Float32 throughout, as imago
computes; a float64 run of the same steps is kept too, so that the test can tell rounding from error.
"""

import json
import platform
from pathlib import Path

import torch

SIZES = [12, 16, 16, 5]
ROWS = 24
STEPS = 20
T = 4.0
HARD = 0.3


def make(dtype):
    torch.manual_seed(20260101)
    layers = []
    for i, (a, b) in enumerate(zip(SIZES, SIZES[1:])):
        weight = torch.randn(b, a, dtype=torch.float32) * (2 / a) ** 0.5
        bias = torch.randn(b, dtype=torch.float32) * 0.1
        layers += [(f"fc{i + 1}.weight", weight), (f"fc{i + 1}.bias", bias)]
    x = torch.randn(ROWS, SIZES[0], dtype=torch.float32)
    labels = torch.randint(0, SIZES[-1], (ROWS,))
    teacher = 3 * torch.randn(ROWS, SIZES[-1], dtype=torch.float32)
    return {n: t.to(dtype) for n, t in layers}, x.to(dtype), labels, teacher.to(dtype)


def forward(p, x):
    for i in (1, 2):
        x = torch.relu(x @ p[f"fc{i}.weight"].T + p[f"fc{i}.bias"])
    return x @ p["fc3.weight"].T + p["fc3.bias"]


def hard_loss(z, labels, teacher):
    return torch.nn.functional.cross_entropy(z, labels)


def soft_loss(z, labels, teacher):
    kl = torch.nn.functional.kl_div(
        torch.log_softmax(z / T, 1), torch.softmax(teacher / T, 1), reduction="batchmean"
    )
    return (1 - HARD) * T * T * kl + HARD * torch.nn.functional.cross_entropy(z, labels)


OPTIMIZERS = {
    "sgd": lambda ps: torch.optim.SGD(ps, lr=0.05, momentum=0.9, weight_decay=0.0),
    "adamw": lambda ps: torch.optim.AdamW(ps, lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0),
}


def run(dtype, loss_of, optimizer):
    p, x, labels, teacher = make(dtype)
    for t in p.values():
        t.requires_grad_(True)
    opt = OPTIMIZERS[optimizer](list(p.values()))
    losses, norms = [], []
    for _ in range(STEPS):
        opt.zero_grad()
        loss = loss_of(forward(p, x), labels, teacher)
        loss.backward()
        norms.append(float(torch.sqrt(sum((t.grad.double() ** 2).sum() for t in p.values()))))
        losses.append(loss.item())
        opt.step()
    return losses, norms, {n: t.detach().flatten().tolist() for n, t in p.items()}


def main():
    p, x, labels, teacher = make(torch.float32)
    cases = []
    for name, loss_of in (("hard", hard_loss), ("soft", soft_loss)):
        for optimizer in OPTIMIZERS:
            losses, norms, _ = run(torch.float32, loss_of, optimizer)
            losses64, _, end = run(torch.float64, loss_of, optimizer)
            cases.append(
                {"loss": name, "optimizer": optimizer, "losses": losses, "losses64": losses64, "norms": norms, "end64": end}
            )
    out = {
        "provenance": {
            "script": "test/convergence/golden/make_sgd_trajectory.py",
            "torch": torch.__version__,
            "python": platform.python_version(),
            "threads": 1,
        },
        "sizes": SIZES,
        "temperature": T,
        "hardWeight": HARD,
        "rows": ROWS,
        "x": x.flatten().tolist(),
        "labels": labels.tolist(),
        "teacher": teacher.flatten().tolist(),
        "start": {n: t.flatten().tolist() for n, t in p.items()},
        "cases": cases,
    }
    round8 = lambda v: float(f"{v:.9g}") if isinstance(v, float) else v

    def shrink(v):
        if isinstance(v, dict):
            return {k: shrink(w) for k, w in v.items()}
        if isinstance(v, list):
            return [shrink(w) for w in v]
        return round8(v)

    path = Path(__file__).with_name("sgd-trajectory.json")
    path.write_text(json.dumps(shrink(out), separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
