"""What specialists need, as torch has it: PᵀP, and eq. 5 by descent."""
import numpy as np
import torch

from common import numbers


class Covariance:
    """PᵀP of predictions, in the precision that the variant names."""

    def __init__(self, s, folder, variant):
        self.p = numbers(folder, "p", (s["rows"], s["classes"])).to(getattr(torch, variant))
        self.step()

    def step(self):
        return self.p.T @ self.p

    def check(self):
        product = self.step()
        return product.double().trace().item(), {"product": product.float()}

    def run(self, iterations):
        for _ in range(iterations):
            self.step()

    def outcome(self):
        return self.step().double().trace().item()


class Eq5:
    """Gradient descent on the logits of q from q = p^g. Plain descent, at any one rate, is above the minimum by 0.01 and more after 3,000 steps;
    this is Adam at the best of the rates 0.01 … 0.4, told where the minimum is so that it can stop."""

    def __init__(self, s, folder, variant):
        rows, classes, active, size = (s[key] for key in ("rows", "classes", "active", "size"))
        self.general = numbers(folder, "general", (rows, classes)).double()
        self.general /= self.general.sum(1, keepdim=True)
        self.minimum = numbers(folder, "minimum", (rows,), np.float64)
        sets = numbers(folder, "sets", (active, size), np.int32).long()
        self.outside = torch.ones(active, classes, dtype=torch.float64)
        # Σ of all masses that are said of a class: of the generalist, and of the specialists that know it.
        self.known = self.general.clone()
        self.dustbin = torch.empty(rows, active, dtype=torch.float64)
        # Σ p·ln p, which the objective has beside what depends on q.
        self.entropy = (self.general * self.general.log()).sum(1)
        for m in range(active):
            own = numbers(folder, f"own{m}", (rows, size + 1)).double()
            own /= own.sum(1, keepdim=True)
            self.outside[m, sets[m]] = 0
            self.known[:, sets[m]] += own[:, :-1]
            self.dustbin[:, m] = own[:, -1]
            self.entropy += (own * own.log()).sum(1)

    def objective(self, q):
        rest = q @ self.outside.T
        return self.entropy - (self.known * q.log()).sum(1) - (self.dustbin * rest.log()).sum(1)

    def solve(self):
        z = self.general.log()
        first, second = torch.zeros_like(z), torch.zeros_like(z)
        models = 1 + len(self.outside)
        for step in range(1, 5001):
            q = torch.softmax(z, 1)
            if step % 10 == 0 and (self.objective(q) - self.minimum).max() < 1e-6:
                return q
            gradient = models * q - self.known - q * ((self.dustbin / (q @ self.outside.T)) @ self.outside)
            first.lerp_(gradient, 0.1)
            second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            root = (second / (1 - 0.999**step)).sqrt_().add_(1e-12)
            z.addcdiv_(first, root, value=-0.1 / (1 - 0.9**step))
        raise RuntimeError("descent does not reach the minimum in 5,000 steps")

    def check(self):
        found = self.objective(self.solve())
        return found.mean().item(), {"objective": found.float()}

    def run(self, iterations):
        for _ in range(iterations):
            self.solve()

    def outcome(self):
        return self.objective(self.solve()).mean().item()
