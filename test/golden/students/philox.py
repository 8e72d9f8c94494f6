"""Philox 4x32-10 and the streams of packages/tensor/src/rng.ts and of the kernel dropout_mask, bit for bit, in numpy."""
import numpy as np

LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)


def blocks(counter, k0, k1):
    """counter: four arrays of 32-bit words (as uint64) → [4, n] words."""
    c0, c1, c2, c3 = [np.atleast_1d(np.asarray(c, dtype=np.uint64)) for c in counter]
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (p1 >> SHIFT) ^ c1 ^ np.uint64(k0), p1 & LOW, (p0 >> SHIFT) ^ c3 ^ np.uint64(k1), p0 & LOW)
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3))


def fnv1a(text, basis):
    for letter in text:
        basis = ((basis ^ ord(letter)) * 0x01000193) & 0xFFFFFFFF
    return basis


class Rng:
    def __init__(self, seed=None, key=None):
        self.key = key or (seed & 0xFFFFFFFF, seed >> 32)
        self.block = 0

    def split(self, label):
        text = f"#{label}" if isinstance(label, int) else label
        words = blocks((fnv1a(text, 0x811C9DC5), fnv1a(text, 0x01234567), len(text), 1), *self.key)[:, 0]
        return Rng(key=(int(words[0]), int(words[1])))

    def words(self, count):
        """The next words, from a whole block on."""
        n = -(-count // 4)
        made = blocks((np.arange(self.block, self.block + n), 0, 0, 0), *self.key)
        self.block += n
        return made.T.reshape(-1)[:count]

    def uniform(self, count):
        return self.words(count).astype(np.float64) * 2.0**-32

    def dropout_mask(self, count, probability):
        t = round(65536 * probability)
        n = -(-count // 8)
        words = self.words(4 * n).reshape(-1, 1)
        bits = ((words >> np.array([0, 16], dtype=np.uint64)) & np.uint64(0xFFFF)).reshape(-1)[:count]
        return np.where(bits >= t, np.float32(65536 / (65536 - t)), np.float32(0)).astype(np.float64)
