"""What the rows of PyTorch's side share: files of numbers, the objective."""
import os

import numpy as np
import torch
import torch.nn.functional as F


def numbers(folder, name, dims, dtype=np.float32):
    return torch.from_numpy(np.fromfile(os.path.join(folder, name + ".bin"), dtype=dtype).reshape(dims))


def fill(folder, name, dims, dtype=np.float32):
    """A file's numbers, again from its beginning until the tensor is full."""
    data = np.empty(dims, dtype)
    flat = data.reshape(-1)
    block = np.fromfile(os.path.join(folder, name + ".bin"), dtype)
    for at in range(0, flat.size, block.size):
        flat[at : at + block.size] = block[: flat.size - at]
    return torch.from_numpy(data)


def soft_target(student, teacher, labels, temperature, hard_weight):
    t = temperature
    soft = F.kl_div(F.log_softmax(student / t, 1), F.softmax(teacher / t, 1), reduction="batchmean") * t * t
    return (1 - hard_weight) * soft + hard_weight * F.cross_entropy(student, labels)
