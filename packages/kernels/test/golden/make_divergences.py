"""Goldens of the divergences from PyTorch in float64.

    python3 make_divergences.py > divergences.json

Inputs are float32 numbers; values are the printed formulas in torch's functions, gradients come from autograd. Every mean is
weighted: sum(w·row)/sum(w).
"""
import json
import platform

import torch
import torch.nn.functional as F

torch.manual_seed(20240513)

ROWS, CLASSES = 3, 5


def numbers(t):
    return [float(x) for x in t.detach().reshape(-1)]


def draw(*shape, scale=1.0):
    return (torch.randn(*shape) * scale).double()


def inputs(close=False):
    teacher = draw(ROWS, CLASSES, scale=3)
    student = (teacher.float() + 0.01 * torch.randn(ROWS, CLASSES)).double() if close else draw(ROWS, CLASSES, scale=2)
    weights = (torch.rand(ROWS) + 0.25).double()
    return student.requires_grad_(), teacher, weights


def record(name, student, value, **more):
    value.backward()
    return dict(name=name, rows=ROWS, classes=CLASSES, student=numbers(student), value=float(value.detach()),
                gradient=numbers(student.grad), **more)


def mean(rows, weights):
    return (weights * rows).sum() / weights.sum()


def reverse_kl(student, teacher, t):
    return F.kl_div(F.log_softmax(teacher / t, 1), F.log_softmax(student / t, 1), log_target=True, reduction='none').sum(1)


def js_divergence(student, teacher, t, beta):
    log_p, log_q = F.log_softmax(teacher / t, 1), F.log_softmax(student / t, 1)
    log_m = torch.log(beta * log_p.exp() + (1 - beta) * log_q.exp())
    kl = lambda a: F.kl_div(log_m, a, log_target=True, reduction='none').sum(1)
    return beta * kl(log_p) + (1 - beta) * kl(log_q)


def total_variation(student, teacher, t):
    return (F.softmax(teacher / t, 1) - F.softmax(student / t, 1)).abs().sum(1) / 2


def comparisons():
    out = []
    for t in (0.5, 1.0, 4.0, 100.0):
        for close in (False, True):
            for name, loss, more in (
                ('reverseKl', reverse_kl, {}), ('totalVariation', total_variation, {}),
                ('jsDivergence', js_divergence, dict(beta=0.5)), ('jsDivergence', js_divergence, dict(beta=0.1)),
            ):
                student, teacher, weights = inputs(close)
                rows = loss(student, teacher, t, **more)
                out.append(record(name, student, mean(rows, weights), teacher=numbers(teacher), temperature=t,
                                  rowWeights=numbers(weights), **more))
    return out


def masked():
    """kl_divergence of the classes that a mask leaves: the columns themselves."""
    out = []
    mask = torch.tensor([1, 0, 1, 1, 0])
    for t in (1.0, 4.0):
        student, teacher, weights = inputs()
        kept = mask.bool()
        p, q = F.log_softmax(teacher[:, kept] / t, 1), F.log_softmax(student[:, kept] / t, 1)
        value = mean(F.kl_div(q, p, log_target=True, reduction='none').sum(1), weights)
        out.append(record('klDivergence', student, value, teacher=numbers(teacher), temperature=t, rowWeights=numbers(weights),
                          classMask=mask.tolist()))
    return out


def distributions():
    out = []
    for smoothing in (0.0, 0.1):
        student, teacher, weights = inputs()
        # As float32, which does not sum to 1 in all digits; renormalised nowhere.
        targets = F.softmax(teacher, 1).float().double()
        rows = F.cross_entropy(student, targets, reduction='none', label_smoothing=smoothing)
        out.append(record('crossEntropy', student, mean(rows, weights), distribution=numbers(targets), smoothing=smoothing,
                          rowWeights=numbers(weights)))
    return out


def dkd():
    """Zhao et al. 2022, section 3, with the factor T² of their code."""
    out = []
    for t in (1.0, 4.0, 100.0):
        for alpha, beta in ((1.0, 8.0), (0.0, 1.0), (1.0, 0.0)):
            student, teacher, weights = inputs()
            labels = torch.randint(0, CLASSES, (ROWS,))
            onehot = F.one_hot(labels, CLASSES).bool()
            log_p, log_q = F.log_softmax(teacher / t, 1), F.log_softmax(student / t, 1)

            def target(log):
                return torch.stack([log[onehot], torch.logsumexp(log.masked_fill(onehot, -torch.inf), 1)], 1)

            def others(logits):
                return F.log_softmax(logits[~onehot].reshape(ROWS, CLASSES - 1) / t, 1)

            tckd = F.kl_div(target(log_q), target(log_p), log_target=True, reduction='none').sum(1)
            nckd = F.kl_div(others(student), others(teacher), log_target=True, reduction='none').sum(1)
            value = mean(t * t * (alpha * tckd + beta * nckd), weights)
            out.append(record('dkd', student, value, teacher=numbers(teacher), temperature=t, alpha=alpha, beta=beta,
                              labels=labels.tolist(), rowWeights=numbers(weights)))
    return out


def dist():
    """Huang et al. 2022, section 4; the columns' correlations carry the rows' weights."""
    out = []
    for t in (1.0, 4.0, 100.0):
        for beta, gamma in ((1.0, 1.0), (2.0, 0.0), (0.0, 1.0)):
            student, teacher, weights = inputs()
            q, p = F.softmax(student / t, 1), F.softmax(teacher / t, 1)

            def pearson(a, b, w):
                a, b = a - mean_of(a, w), b - mean_of(b, w)
                return (w * a * b).sum(0) / ((w * a * a).sum(0) * (w * b * b).sum(0)).sqrt()

            def mean_of(a, w):
                return (w * a).sum(0) / w.sum(0)

            inter = mean(1 - pearson(q.T, p.T, torch.ones(CLASSES, 1).double()), weights)
            intra = (1 - pearson(q, p, weights[:, None])).mean()
            out.append(record('dist', student, beta * inter + gamma * intra, teacher=numbers(teacher), temperature=t, beta=beta,
                              gamma=gamma, inter=float(inter.detach()), intra=float(intra.detach()),
                              rowWeights=numbers(weights)))
    return out


def top_k():
    """KL of k + 1 buckets, the last of them all other classes; T² and the labels' cross entropy as in soft targets."""
    out = []
    for t in (1.0, 4.0, 100.0):
        for k, a in ((1, 0.0), (3, 0.1), (CLASSES, 0.5)):
            student, teacher, weights = inputs()
            labels = torch.randint(0, CLASSES, (ROWS,))
            log_p, indices = F.log_softmax(teacher / t, 1).topk(k, 1)
            log_p = log_p.float().double()
            log_q = F.log_softmax(student / t, 1)
            chosen = log_q.gather(1, indices)
            if k < CLASSES:
                p = torch.cat([log_p.exp(), 1 - log_p.exp().sum(1, keepdim=True)], 1)
                rest = torch.logsumexp(log_q.scatter(1, indices, -torch.inf), 1, keepdim=True)
                chosen = torch.cat([chosen, rest], 1)
            else:
                p = F.softmax(log_p, 1)
            soft = mean(t * t * (p * (p.log() - chosen)).sum(1), weights)
            hard = mean(F.cross_entropy(student, labels, reduction='none'), weights)
            out.append(record('topKSoftTargetLoss', student, (1 - a) * soft + a * hard, k=k, indices=indices.reshape(-1).tolist(),
                              logProbabilities=numbers(log_p), temperature=t, hardWeight=a, labels=labels.tolist(),
                              soft=float(soft.detach()), hard=float(hard.detach()), rowWeights=numbers(weights)))
    return out


print(json.dumps(dict(
    provenance=dict(torch=torch.__version__, python=platform.python_version(), dtype='float64', seed=20240513),
    comparisons=comparisons(), masked=masked(), distributions=distributions(), dkd=dkd(), dist=dist(), topK=top_k(),
)))
