"""Makes log-mel.json: log mel-band energies by NumPy's FFT, in float64. Run: python3 log-mel.py > log-mel.json"""

import json
import sys

import numpy as np


def features(x, rate, bands, low, high, window, step, emphasis, size):
    y = np.append(x[0], x[1:] - emphasis * x[:-1])
    mel = lambda hz: 2595 * np.log10(1 + hz / 700)
    hertz = lambda m: 700 * (10 ** (m / 2595) - 1)
    corners = hertz(np.linspace(mel(low), mel(high), bands + 2))
    lines = np.fft.rfftfreq(size, 1 / rate)
    triangles = np.array([np.interp(lines, corners[b : b + 3], [0, 1, 0]) for b in range(bands)])
    frames = 1 + (len(x) - window) // step
    cut = np.stack([y[t * step : t * step + window] * np.hamming(window) for t in range(frames)])
    return np.log(np.abs(np.fft.rfft(cut, size)) ** 2 @ triangles.T + 1)


t = np.arange(900)
# A tone that rises, one that stays, and a crackle: whole numbers as 16-bit samples are.
signal = np.round(6000 * np.sin(2e-4 * t**2) + 2000 * np.sin(1.9 * t) + 900 * ((t * 7919) % 13 - 6))
cases = []
for options in [
    dict(rate=8000, bands=40, low=64, high=4000, window=200, step=80, emphasis=0.97, size=512),
    dict(rate=16000, bands=13, low=0, high=6000, window=160, step=96, emphasis=0, size=1024),
]:
    cases.append({**options, 'values': np.round(features(signal, **options), 9).ravel().tolist()})
provenance = f'NumPy {np.__version__}, Python {sys.version.split()[0]}'
json.dump({'provenance': provenance, 'samples': signal.astype(int).tolist(), 'cases': cases}, sys.stdout)
