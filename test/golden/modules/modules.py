"""Modules as people write them, each between layers with weights so that gradients have to pass it. One row a module."""
import math

import torch
import torch.nn.functional as F
from torch import nn


class Around(nn.Module):
    """before → inner → flattened → after"""

    def __init__(self, before, inner, width, after=True):
        super().__init__()
        self.before = before
        self.inner = inner if isinstance(inner, nn.Module) else None
        self.call = None if isinstance(inner, nn.Module) else inner
        self.after = nn.Linear(width, 3) if after else None

    def forward(self, x):
        x = self.before(x)
        x = self.inner(x) if self.inner is not None else self.call(x)
        return self.after(x.flatten(1)) if self.after is not None else x


def rows(inner, width):
    return lambda: Around(nn.Linear(6, 8), inner, width), {"x": {"dims": [6]}}


def sequence(inner, width):
    return lambda: Around(nn.Linear(4, 6), inner, width), {"x": {"dims": [5, 4]}}


def line(inner, width):
    return lambda: Around(nn.Conv1d(3, 4, 3, padding=1), inner, width), {"x": {"dims": [3, 9]}}


def image(inner, width):
    return lambda: Around(nn.Conv2d(2, 4, 3, padding=1), inner, width), {"x": {"dims": [2, 6, 6]}}


def volume(inner, width):
    return lambda: Around(nn.Conv3d(1, 2, 3, padding=1), inner, width), {"x": {"dims": [1, 4, 4, 4]}}


class Recurrent(nn.Module):
    def __init__(self, cell, last=False):
        super().__init__()
        self.cell, self.last = cell, last

    def forward(self, x):
        y, state = self.cell(x)
        return (state[0] if isinstance(state, tuple) else state).transpose(0, 1) if self.last else y


class Masked(nn.Module):
    """nn.MultiheadAttention with a causal mask."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.register_buffer("mask", torch.triu(torch.full((5, 5), float("-inf")), diagonal=1))

    def forward(self, x):
        return self.attention(x, x, x, attn_mask=self.mask, need_weights=False)[0]


class Causal(nn.Module):
    def forward(self, x):
        n, t, d = x.shape
        scores = x @ x.transpose(1, 2) / math.sqrt(d)
        keep = torch.tril(torch.ones(t, t, dtype=torch.bool, device=x.device))
        return scores.masked_fill(~keep, float("-inf")).softmax(-1) @ x


class Rotary(nn.Module):
    """Rotary positions as LLaMA writes them."""

    def forward(self, x):
        t, d = x.shape[1], x.shape[2]
        frequencies = 1.0 / (100.0 ** (torch.arange(0, d, 2, device=x.device).to(x.dtype) / d))
        angles = torch.outer(torch.arange(t, device=x.device).to(x.dtype), frequencies)
        angles = torch.cat([angles, angles], -1)
        half = torch.cat([-x[..., d // 2:], x[..., : d // 2]], -1)
        return x * angles.cos() + half * angles.sin()


class RmsNorm(nn.Module):
    """As T5 writes it."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class Scale(nn.Module):
    """A learned scale and a gate of one number each channel (LayerScale, ReZero)."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8))
        self.shift = nn.Parameter(torch.ones(8))

    def forward(self, x):
        return x + self.scale * torch.tanh(x - self.shift)


class Experts(nn.Module):
    """Two experts, mixed by a softmax over a router."""

    def __init__(self):
        super().__init__()
        self.router, self.one, self.two = nn.Linear(8, 2), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        weight = self.router(x).softmax(-1).unsqueeze(-1)
        return (torch.stack([self.one(x), self.two(x)], 1) * weight).sum(1)


class Weighted(nn.Module):
    def __init__(self, normal):
        super().__init__()
        self.layer = normal(nn.Linear(8, 8))

    def forward(self, x):
        return self.layer(x)


MODULES = {
    # activations
    **{name: rows(inner, 8) for name, inner in {
        "relu6": nn.ReLU6(), "leaky-relu": nn.LeakyReLU(0.2), "elu": nn.ELU(), "selu": nn.SELU(), "celu": nn.CELU(0.5),
        "gelu": nn.GELU(), "gelu-tanh": nn.GELU("tanh"), "silu": nn.SiLU(), "mish": nn.Mish(), "softplus": nn.Softplus(2.0),
        "softsign": nn.Softsign(), "hardtanh": nn.Hardtanh(-0.5, 0.5), "hardswish": nn.Hardswish(), "hardsigmoid": nn.Hardsigmoid(),
        "logsigmoid": nn.LogSigmoid(), "tanhshrink": nn.Tanhshrink(), "hardshrink": nn.Hardshrink(0.1), "softshrink": nn.Softshrink(0.1),
        "threshold": nn.Threshold(0.1, 0.0), "prelu": nn.PReLU(), "softmin": nn.Softmin(1), "log-softmax": nn.LogSoftmax(1),
        "abs-log": lambda x: torch.log(x.abs() + 0.5), "exp-neg": lambda x: torch.exp(-x), "reciprocal": lambda x: 1 / (x.abs() + 1),
        "power": lambda x: (x.abs() + 0.1) ** 1.5, "square": lambda x: x ** 2, "sin-cos": lambda x: torch.sin(x) * torch.cos(x),
        "sqrt": lambda x: (x.abs() + 0.1).sqrt(), "rsqrt": lambda x: torch.rsqrt(x ** 2 + 1), "clamp-min": lambda x: x.clamp(min=0.1),
        "maximum": lambda x: torch.maximum(x, 0.5 * x + 0.1), "where": lambda x: torch.where(x > 0, x, 0.1 * x),
        "erf": torch.erf, "atan": torch.atan, "log1p": lambda x: torch.log1p(x.abs()), "expm1": torch.expm1,
        "addcmul": lambda x: torch.addcmul(x, x, x, value=0.5), "lerp": lambda x: torch.lerp(x, x ** 2, 0.3),
        "layer-scale": Scale(), "weight-norm": Weighted(nn.utils.weight_norm), "parametrized": Weighted(nn.utils.parametrizations.weight_norm),
        "experts": Experts(), "rms-norm": RmsNorm(8), "nn-rms-norm": nn.RMSNorm(8), "layer-norm": nn.LayerNorm(8, elementwise_affine=False),
        "normalize": lambda x: F.normalize(x, dim=1), "cosine": lambda x: F.cosine_similarity(x[:, :4], x[:, 4:], dim=1).unsqueeze(1).expand(-1, 8),
        "cumsum": lambda x: torch.cumsum(x, 1), "flip": lambda x: x.flip(1) * x, "roll": lambda x: torch.roll(x, 3, 1) * x,
        "repeat": lambda x: x.repeat(1, 2)[:, 4:12], "interleave": lambda x: x.repeat_interleave(2, 1)[:, :8],
        "index": lambda x: x[:, [3, 1, 0, 2, 2, 7, 6, 5]], "logsumexp": lambda x: x - torch.logsumexp(x, 1, keepdim=True),
        "var-mean": lambda x: x * x.var(1, keepdim=True), "std": lambda x: x / (x.std(1, keepdim=True) + 0.1),
        "topk": lambda x: torch.cat([torch.topk(x, 4, 1)[0], x[:, :4]], 1), "sort": lambda x: torch.sort(x, 1)[0],
        "max": lambda x: x - x.max(1, keepdim=True)[0], "amin": lambda x: x - x.amin(1, keepdim=True), "prod": lambda x: x * x[:, :3].prod(1, keepdim=True),
        "norm": lambda x: x / (x.norm(dim=1, keepdim=True) + 1), "l1": lambda x: x / (x.norm(p=1, dim=1, keepdim=True) + 1),
        "chunk": lambda x: torch.cat([a * b for a, b in zip(x.chunk(2, 1), x.flip(1).chunk(2, 1))] * 2, 1)[:, :8],
        "unbind": lambda x: torch.stack([a * (i + 1) for i, a in enumerate(x.unbind(1))], 1), "split": lambda x: torch.cat(x.split([3, 5], 1)[::-1], 1),
        "outer": lambda x: torch.einsum("ni,nj->nij", x, x).sum(2), "bilinear": nn.Identity(),
    }.items()},
    "glu": rows(nn.GLU(1), 4),
    "dropout": rows(nn.Dropout(0.3), 8),
    # images
    **{name: image(inner, width) for name, (inner, width) in {
        "max-pool": (nn.MaxPool2d(3, 2, 1), 36), "avg-pool": (nn.AvgPool2d(3, 2, 1), 36), "avg-pool-exclude": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), 36),
        "adaptive-pool": (nn.AdaptiveAvgPool2d(3), 36), "adaptive-max": (nn.AdaptiveMaxPool2d(2), 16), "lp-pool": (nn.LPPool2d(2, 2), 36),
        "batch-norm": (nn.BatchNorm2d(4), 144), "instance-norm": (nn.InstanceNorm2d(4), 144), "group-norm": (nn.GroupNorm(2, 4), 144),
        "local-response": (nn.LocalResponseNorm(3), 144), "pixel-shuffle": (nn.PixelShuffle(2), 144), "pixel-unshuffle": (nn.PixelUnshuffle(2), 144),
        "reflect": (nn.ReflectionPad2d(2), 400), "replicate": (nn.ReplicationPad2d(1), 256), "zero-pad": (nn.ZeroPad2d((1, 0, 2, 0)), 224), "crop": (nn.ZeroPad2d(-1), 64),
        "circular": (nn.CircularPad2d(1), 256), "nearest": (nn.Upsample(scale_factor=2), 576), "bilinear-up": (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), 576),
        "bicubic": (nn.Upsample(size=(9, 9), mode="bicubic"), 324), "depthwise": (nn.Conv2d(4, 4, 3, padding=1, groups=4), 144), "dilated": (nn.Conv2d(4, 4, 3, dilation=2), 16),
        "grouped": (nn.Conv2d(4, 6, 3, stride=2, padding=(1, 0), groups=2), 36), "transposed": (nn.ConvTranspose2d(4, 2, 3, 2, 1, output_padding=1), 288), "same": (nn.Conv2d(4, 2, 4, padding="same"), 72),
        "unfold": (nn.Unfold(2, stride=2), 144), "channel-dropout": (nn.Dropout2d(0.3), 144), "softmax2d": (nn.Softmax2d(), 144),
    }.items()},
    **{name: line(inner, width) for name, (inner, width) in {
        "conv1d": (nn.Conv1d(4, 3, 4, 2), 9), "transposed1d": (nn.ConvTranspose1d(4, 4, 3, 2, groups=2), 76), "max-pool1d": (nn.MaxPool1d(2, ceil_mode=True), 20),
        "avg-pool1d": (nn.AvgPool1d(3, 2, 1), 20), "linear-up": (nn.Upsample(scale_factor=2, mode="linear"), 72), "batch-norm1d": (nn.BatchNorm1d(4), 36),
    }.items()},
    **{name: volume(inner, width) for name, (inner, width) in {
        "conv3d": (nn.Conv3d(2, 2, 2), 54), "transposed3d": (nn.ConvTranspose3d(2, 1, 2, 2), 512), "max-pool3d": (nn.MaxPool3d(2), 16), "avg-pool3d": (nn.AvgPool3d(2), 16),
        "batch-norm3d": (nn.BatchNorm3d(2), 128),
    }.items()},
    # sequences
    **{name: sequence(inner, width) for name, (inner, width) in {
        "rnn": (Recurrent(nn.RNN(6, 5, batch_first=True)), 25), "rnn-relu": (Recurrent(nn.RNN(6, 5, nonlinearity="relu", batch_first=True, bidirectional=True)), 50),
        "lstm-deep": (Recurrent(nn.LSTM(6, 4, 2, batch_first=True, bidirectional=True)), 40), "lstm-last": (Recurrent(nn.LSTM(6, 4, batch_first=True), True), 4),
        "gru-both": (Recurrent(nn.GRU(6, 4, batch_first=True, bidirectional=True)), 40), "gru-last": (Recurrent(nn.GRU(6, 4, 2, batch_first=True), True), 8),
        "attention": (Masked(), 30), "causal": (Causal(), 30), "rotary": (Rotary(), 30), "decoder-layer": (nn.TransformerEncoderLayer(6, 2, 8, 0.0, batch_first=True, norm_first=True), 30),
        "mean-max": (lambda x: torch.cat([x.mean(1), x.max(1)[0]], 1), 12), "shift": (lambda x: F.pad(x[:, 1:], (0, 0, 0, 1)), 30),
    }.items()},
}
del MODULES["bilinear"]
