"""Writes covariance.json: numpy's covariance and correlation matrices in float64, with and without row weights.

    python3 packages/kernels/test/golden/make_covariance.py
"""
import json
import os
import platform

import numpy as np

random = np.random.RandomState(11)
x = np.float32(random.standard_normal((12, 4)) @ random.standard_normal((4, 4)) + [0, 100, -5, 1]).astype(np.float64)
weights = np.float32(random.uniform(0.25, 2, 12)).astype(np.float64)
weights[5] = 0
out = {
    "provenance": {"script": "make_covariance.py", "numpy": np.__version__, "python": platform.python_version()},
    "x": x.ravel().tolist(),
    "weights": weights.tolist(),
    "covariance": np.cov(x.T, bias=True).ravel().tolist(),
    "unbiased": np.cov(x.T).ravel().tolist(),
    "weighted": np.cov(x.T, bias=True, aweights=weights).ravel().tolist(),
    "correlation": np.corrcoef(x.T).ravel().tolist(),
}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "covariance.json"), "w") as f:
    json.dump(out, f)
    f.write("\n")
