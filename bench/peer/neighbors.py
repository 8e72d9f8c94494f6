"""Nearest neighbours as torch has them: distances of a block of rows to all, and the least."""
import torch

from common import numbers


class Neighbors:
    """mm: distances from a matrix product, cdist's default for many rows; exact: as differences."""

    def __init__(self, s, folder, variant):
        self.x = numbers(folder, "x", (s["rows"], s["columns"]))
        self.mode = "use_mm_for_euclid_dist" if variant == "mm" else "donot_use_mm_for_euclid_dist"

    def nearest(self):
        found = []
        with torch.inference_mode():
            for first in range(0, len(self.x), 1000):
                block = self.x[first : first + 1000]
                d = torch.cdist(block, self.x, compute_mode=self.mode)
                d[torch.arange(len(block)), torch.arange(first, first + len(block))] = float("inf")
                found.append(d.min(1))
        return torch.cat([d.values for d in found]), torch.cat([d.indices for d in found])

    def check(self):
        squared = self.nearest()[0].square()
        return squared.double().mean().item(), {"squaredDistances": squared}

    def run(self, iterations):
        for _ in range(iterations):
            self.nearest()

    def outcome(self):
        return self.nearest()[0].square().double().mean().item()
