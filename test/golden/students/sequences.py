"""Transformers, recurrent nets and acoustic models at small widths."""
import math

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    """Multi-head attention in plain operations; one matrix for queries, keys and values."""

    def __init__(self, width, heads, dropout=0.0):
        super().__init__()
        self.heads, self.p = heads, dropout
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x, mask=None):
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(-2, -1) / math.sqrt(d // self.heads)
        if mask is not None:
            scores = scores + mask
        weights = F.dropout(F.softmax(scores, -1), self.p, self.training)
        return self.out((weights @ v).transpose(1, 2).reshape(n, t, d))


class SdpaAttention(nn.Module):
    """Three matrices, and torch's scaled_dot_product_attention."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = [nn.Linear(width, width) for _ in range(4)]

    def forward(self, x, mask=None):
        n, t, d = x.shape
        q, k, v = [f(x).view(n, t, self.heads, d // self.heads).transpose(1, 2) for f in (self.query, self.key, self.value)]
        return self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(n, t, d))


class PreNorm(nn.Module):
    def __init__(self, width, attention):
        super().__init__()
        self.norm1, self.norm2, self.attention = nn.LayerNorm(width), nn.LayerNorm(width), attention
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """pool: the class token, or the mean."""

    def __init__(self, attention, pool):
        super().__init__()
        width = 16
        self.pool, self.patch = pool, nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width)) if pool == "token" else None
        self.position = nn.Parameter(torch.zeros(1, 16 + (pool == "token"), width))
        self.blocks = nn.Sequential(*[PreNorm(width, attention()) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, image):
        x = self.patch(image).flatten(2).transpose(1, 2)
        if self.token is not None:
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        x = self.norm(self.blocks(x + self.position))
        return self.head(x[:, 0] if self.pool == "token" else x.mean(1))


class PostNorm(nn.Module):
    def __init__(self, width, attention, dropout=0.0, act=F.gelu):
        super().__init__()
        self.attention, self.p, self.act = attention, dropout, act
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x, mask):
        x = self.norm1(x + F.dropout(self.attention(x, mask), self.p, self.training))
        return self.norm2(x + F.dropout(self.narrow(self.act(self.wide(x))), self.p, self.training))


class Bert(nn.Module):
    """Word, position and token type embeddings; a padding mask; the pooled first token."""

    def __init__(self, attention, dropout=0.0):
        super().__init__()
        width = 16
        self.words, self.types = nn.Embedding(50, width), nn.Embedding(2, width)
        self.positions = nn.Embedding(12, width)
        self.register_buffer("position_ids", torch.arange(12).unsqueeze(0))
        self.norm, self.p = nn.LayerNorm(width, eps=1e-12), dropout
        self.layers = nn.ModuleList([PostNorm(width, attention(), dropout) for _ in range(2)])
        self.pooler, self.head = nn.Linear(width, width), nn.Linear(width, 4)

    def forward(self, input_ids, attention_mask):
        x = self.words(input_ids) + self.positions(self.position_ids[:, : input_ids.shape[1]])
        x = x + self.types(torch.zeros_like(input_ids))
        x = F.dropout(self.norm(x), self.p, self.training)
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * -10000.0
        for layer in self.layers:
            x = layer(x, mask)
        return self.head(torch.tanh(self.pooler(x[:, 0])))


class MiniLM(nn.Module):
    """A sentence embedding: mean over the words that are there, length 1, against learned class directions."""

    def __init__(self):
        super().__init__()
        width = 16
        self.words, self.positions = nn.Embedding(50, width), nn.Parameter(torch.zeros(12, width))
        self.layers = nn.ModuleList([PostNorm(width, SdpaAttention(width, 2), act=lambda x: F.gelu(x, approximate="tanh"))
                                     for _ in range(2)])
        self.classes = nn.Linear(width, 4, bias=False)

    def forward(self, input_ids, attention_mask):
        x = self.words(input_ids) + self.positions
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * -10000.0
        for layer in self.layers:
            x = layer(x, mask)
        there = attention_mask.unsqueeze(-1).to(x.dtype)
        mean = (x * there).sum(1) / there.sum(1).clamp(min=1e-9)
        return 5 * self.classes(F.normalize(mean, p=2.0, dim=1))


class Encoder(nn.Module):
    """nn.TransformerEncoder, as it comes."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, activation="relu")
        self.embed = nn.Linear(8, 16)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 5)

    def forward(self, frames):
        return self.head(self.encoder(self.embed(frames)).mean(dim=1))


class GruAcoustic(nn.Module):
    """Frame labels: strided convolution over time, two GRU layers, one distribution a frame."""

    def __init__(self):
        super().__init__()
        self.front, self.gru = nn.Conv1d(8, 10, 3, padding=1), nn.GRU(10, 12, 2, batch_first=True)
        self.head = nn.Linear(12, 6)

    def forward(self, frames):
        x = torch.relu(self.front(frames.transpose(1, 2))).transpose(1, 2)
        x, _ = self.gru(x)
        return self.head(x)


class BiLstm(nn.Module):
    """Words to one label: embedding, a bidirectional LSTM, its two last states."""

    def __init__(self):
        super().__init__()
        self.words, self.lstm = nn.Embedding(40, 10), nn.LSTM(10, 8, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 3)

    def forward(self, input_ids):
        _, (h, _) = self.lstm(self.words(input_ids))
        return self.head(torch.cat([h[0], h[1]], 1))


class Tdnn(nn.Module):
    """Dilated convolutions over time, then mean and deviation over it (x-vectors)."""

    def __init__(self):
        super().__init__()
        widths = [(8, 12, 5, 1), (12, 12, 3, 2), (12, 12, 3, 3), (12, 16, 1, 1)]
        self.layers = nn.Sequential(*[m for a, b, k, d in widths for m in (nn.Conv1d(a, b, k, dilation=d), nn.ReLU(), nn.BatchNorm1d(b))])
        self.segment, self.head = nn.Linear(32, 16), nn.Linear(16, 5)

    def forward(self, frames):
        x = self.layers(frames)
        mean = x.mean(2)
        deviation = ((x - mean.unsqueeze(2)) ** 2).mean(2).add(1e-5).sqrt()
        return self.head(torch.relu(self.segment(torch.cat([mean, deviation], 1))))


def dense(sizes, act, norm=False):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(a, b))
        if i < len(sizes) - 2:
            layers += [nn.BatchNorm1d(b)] if norm else []
            layers.append(act())
    return nn.Sequential(*layers)
