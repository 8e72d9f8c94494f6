"""Values and gradients of losses on hidden tensors and of two on logits, in float64 by PyTorch's autograd.

Written from the formulas of the papers and of the code that their authors published; `source` of each case says which:
  hint, attention, similarity, rkd, pkt, vid, fsp, crd: github.com/HobbitLong/RepDistiller (distiller_zoo/, crd/), the benchmark of the CRD authors,
  commit 1e2f816 (its AT, SP, RKD, PKT and VID are taken there from, or verified by, the papers' authors)
  nkd: github.com/yzd-v/cls_KD, with the target class left out of the normalized rest as the paper's eq. 6 has it
  logit standardization: github.com/sunshangquan/logit-standardization-KD

    python3 test/golden/losses/make.py        # writes hidden.json, logits.json beside it; needs torch and numpy
"""
import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
draw = np.random.default_rng(20150515)
HERE = pathlib.Path(__file__).parent


def tensor(*dims, scale=1.0):
    return torch.tensor(np.round(draw.normal(0, scale, dims), 2)).requires_grad_(True)


def plain(x):
    return {'dims': list(x.shape), 'data': [float(f'{v:.12g}') for v in x.detach().reshape(-1).tolist()]}


def pool_alike(s, t):
    """The larger map is pooled to the smaller one, as the benchmark does by height."""
    if s.shape[2] > t.shape[2]:
        s = F.adaptive_avg_pool2d(s, t.shape[2:])
    elif s.shape[2] < t.shape[2]:
        t = F.adaptive_avg_pool2d(t, s.shape[2:])
    return s, t


def hint(s, t, p):
    s, t = pool_alike(s[0], t[0]) if s[0].dim() == 4 else (s[0], t[0])
    if 'regressor.weight' in p:
        w, b = p['regressor.weight'], p['regressor.bias']
        s = F.conv2d(s, w[:, :, None, None], b) if s.dim() == 4 else F.linear(s, w, b)
    return F.mse_loss(s, t)


def attention(s, t, p):
    s, t = pool_alike(s[0], t[0])
    at = lambda f: F.normalize(f.pow(2).mean(1).flatten(1))
    return (at(s) - at(t)).pow(2).mean()


def flow(bottom, top):
    bottom, top = pool_alike(bottom, top)
    return torch.einsum('nchw,ndhw->ncd', bottom, top) / (bottom.shape[2] * bottom.shape[3])


def fsp(s, t, p):
    return (flow(*s) - flow(*t)).pow(2).mean()


def similarity(s, t, p):
    g = lambda f: F.normalize(f.flatten(1) @ f.flatten(1).t())
    n = s[0].shape[0]
    return (g(t[0]) - g(s[0])).pow(2).sum() / n**2


def rkd(s, t, p):
    def distances(f):
        d2 = (f[:, None, :] - f[None, :, :]).pow(2).sum(-1).clamp(min=1e-12)
        d = d2.sqrt() * (1 - torch.eye(len(f)))
        return d / d[d > 0].mean()

    def angles(f):
        e = F.normalize(f[None, :, :] - f[:, None, :], p=2, dim=2)
        return torch.bmm(e, e.transpose(1, 2))

    a, b = s[0].flatten(1), t[0].flatten(1)
    return 25 * F.smooth_l1_loss(distances(a), distances(b)) + 50 * F.smooth_l1_loss(angles(a), angles(b))


def pkt(s, t, p, eps=1e-7):
    def affinity(f):
        f = f.flatten(1)
        f = f / (f.pow(2).sum(1, keepdim=True).sqrt() + eps)
        k = (f @ f.t() + 1) / 2
        return k / k.sum(1, keepdim=True)

    q, r = affinity(s[0]), affinity(t[0])
    return (r * torch.log((r + eps) / (q + eps))).mean()


def vid(s, t, p):
    s, t = pool_alike(s[0], t[0]) if s[0].dim() == 4 else (s[0][..., None, None], t[0][..., None, None])
    w = [p[f'regressor.{i}.weight'][:, :, None, None] for i in range(3)]
    mean = F.conv2d(F.relu(F.conv2d(F.relu(F.conv2d(s, w[0])), w[1])), w[2])
    variance = (torch.log(1 + torch.exp(p['scale'])) + 1e-5).view(1, -1, 1, 1)
    return (0.5 * ((mean - t) ** 2 / variance + torch.log(variance))).mean()


def crd(s, t, p, index, memory, n_data, temperature=0.07, momentum=0.5, eps=1e-7):
    """Two steps on the same rows: the constants Z are those of the first, the memory has moved in the second."""
    embed = lambda x, side: F.normalize(F.linear(x.flatten(1), p[f'{side}.weight'], p[f'{side}.bias']), eps=0)
    v1, v2 = embed(s[0], 'student'), embed(t[0], 'teacher')
    losses, z = [], None
    m1, m2 = (m.clone() for m in memory)
    for _ in range(2):
        out1 = torch.exp(torch.einsum('nkf,nf->nk', m2[index], v1) / temperature)
        out2 = torch.exp(torch.einsum('nkf,nf->nk', m1[index], v2) / temperature)
        if z is None:
            z = [float(out1.mean() * n_data), float(out2.mean() * n_data)]
        total = 0
        for x in (out1 / z[0], out2 / z[1]):
            m = x.shape[1] - 1
            noise = m / n_data
            d1 = torch.log(x[:, 0] / (x[:, 0] + noise + eps))
            d0 = torch.log(noise / (x[:, 1:] + noise + eps))
            total = total - (d1.sum() + d0.sum()) / x.shape[0]
        losses.append(total)
        rows = index[:, 0]
        with torch.no_grad():
            for m, v in ((m1, v1), (m2, v2)):
                m[rows] = F.normalize(m[rows] * momentum + v * (1 - momentum), eps=0)
    return losses, (m1, m2), z


def case(name, loss, s, t, p=None, source=''):
    p = p or {}
    value = loss(s, t, p)
    wrt = [*s, *p.values()]
    gradients = torch.autograd.grad(value, wrt)
    return {
        'name': name, 'loss': loss.__name__, 'source': source,
        'student': [plain(x) for x in s], 'teacher': [plain(x) for x in t], 'parameters': {k: plain(v) for k, v in p.items()},
        'value': float(value.detach()),
        'cotangents': [plain(g) for g in gradients[: len(s)]],
        'gradients': dict(zip(p, map(plain, gradients[len(s):]))),
    }


def regressor(c, d):
    return {'regressor.weight': tensor(d, c), 'regressor.bias': tensor(d)}


def deep(c, middle, d):
    sizes = [(middle, c), (middle, middle), (d, middle)]
    return {**{f'regressor.{i}.weight': tensor(*sizes[i]) for i in range(3)}, 'scale': tensor(d)}


def hidden():
    zoo = 'RepDistiller/distiller_zoo/'
    return [
        case('hint of vectors', hint, [tensor(4, 3)], [tensor(4, 5)], regressor(3, 5), zoo + 'FitNet.py'),
        case('hint of maps, the larger one pooled', hint, [tensor(2, 2, 5, 5)], [tensor(2, 3, 3, 3)], regressor(2, 3), zoo + 'FitNet.py'),
        case('hint without a regressor', hint, [tensor(3, 4)], [tensor(3, 4)], {}, zoo + 'FitNet.py'),
        case('attention', attention, [tensor(3, 2, 4, 4)], [tensor(3, 5, 4, 4)], {}, zoo + 'AT.py'),
        case('attention, the larger map pooled', attention, [tensor(2, 2, 3, 3)], [tensor(2, 3, 7, 7)], {}, zoo + 'AT.py'),
        case('fsp', fsp, [tensor(2, 2, 4, 4), tensor(2, 3, 2, 2)], [tensor(2, 2, 5, 5), tensor(2, 3, 5, 5)], {}, zoo + 'FSP.py'),
        case('similarity', similarity, [tensor(5, 3)], [tensor(5, 2, 2, 2)], {}, zoo + 'SP.py'),
        case('rkd', rkd, [tensor(5, 3)], [tensor(5, 4)], {}, zoo + 'RKD.py'),
        case('pkt', pkt, [tensor(5, 3)], [tensor(5, 4)], {}, zoo + 'PKT.py'),
        case('vid of maps', vid, [tensor(2, 2, 3, 3)], [tensor(2, 3, 5, 5)], deep(2, 4, 3), zoo + 'VID.py'),
        case('vid of vectors', vid, [tensor(4, 3)], [tensor(4, 2)], deep(3, 2, 2), zoo + 'VID.py'),
    ]


def contrast():
    n_data, k, f = 12, 4, 3
    s, t = [tensor(3, 2)], [tensor(3, 5)]
    p = {'student.weight': tensor(f, 2), 'student.bias': tensor(f), 'teacher.weight': tensor(f, 5), 'teacher.bias': tensor(f)}
    memory = [F.normalize(tensor(n_data, f).detach()) for _ in range(2)]
    index = torch.tensor(draw.integers(0, n_data, (3, k + 1)))
    index[:, 0] = torch.tensor([7, 2, 9])
    losses, moved, z = crd(s, t, p, index, memory, n_data)
    steps = []
    for value in losses:
        g = torch.autograd.grad(value, [*s, *p.values()], retain_graph=True)
        steps.append({'value': float(value.detach()), 'cotangents': [plain(g[0])], 'gradients': dict(zip(p, map(plain, g[1:])))})
    return {
        'source': 'RepDistiller/crd/criterion.py, crd/memory.py', 'rows': n_data, 'negatives': k, 'features': f,
        'index': index.tolist(), 'student': plain(s[0]), 'teacher': plain(t[0]),
        'parameters': {key: plain(v) for key, v in p.items()}, 'memory': [plain(m) for m in memory],
        'steps': steps, 'moved': [plain(m) for m in moved], 'z': z,
    }


def nkd(z, v, label, temperature, gamma):
    target = (F.softmax(v, 1) * F.log_softmax(z, 1)).gather(1, label[:, None]).mean()
    rest = torch.ones_like(z).scatter_(1, label[:, None], 0).bool()
    n = len(z)
    s = F.log_softmax(z[rest].view(n, -1) / temperature, 1)
    t = F.softmax(v[rest].view(n, -1) / temperature, 1)
    return -target - gamma * temperature**2 * (t * s).sum(1).mean()


def standardized(z, v, label, temperature):
    unit = lambda x: (x - x.mean(-1, keepdim=True)) / (1e-7 + x.std(-1, keepdim=True))
    log_q, p = F.log_softmax(unit(z) / temperature, 1), F.softmax(unit(v) / temperature, 1)
    return F.kl_div(log_q, p, reduction='none').sum(1).mean() * temperature**2


def logits():
    cases = []
    for loss, options in [(nkd, {'temperature': 1, 'gamma': 1.5}), (nkd, {'temperature': 3, 'gamma': 2}),
                          (standardized, {'temperature': 2}), (standardized, {'temperature': 4})]:
        z, v = tensor(4, 5, scale=2), tensor(4, 5, scale=3)
        label = torch.tensor(draw.integers(0, 5, 4))
        value = loss(z, v, label, **options)
        cases.append({'loss': loss.__name__, 'options': options, 'student': plain(z), 'teacher': plain(v), 'labels': label.tolist(),
                      'value': float(value.detach()), 'gradient': plain(torch.autograd.grad(value, z)[0])})
    return cases


made = {'made by': 'test/golden/losses/make.py', 'torch': torch.__version__, 'numpy': np.__version__, 'python': sys.version.split()[0]}
for name, cases in (('hidden', {'cases': hidden(), 'contrast': contrast()}), ('logits', {'cases': logits()})):
    (HERE / f'{name}.json').write_text(json.dumps({**made, **cases}, separators=(',', ':')).replace('{"name"', '\n{"name"') + '\n')
