"""Goldens of linear_soft_target_loss from PyTorch in float64.

    python3 make_linear.py > linear.json

Inputs are float32 numbers. Logits are torch.nn.functional.linear of hidden states, weight and bias; gradients are autograd's.
"""
import json
import platform

import torch
import torch.nn.functional as F

torch.manual_seed(20150309)


def numbers(t):
    return [float(f'{x:.17g}') for x in t.detach().reshape(-1).tolist()]


def draw(*shape, scale=1.0):
    return (torch.randn(*shape) * scale).double()


def case(rows, classes, depth, teacher_depth, temperature, hard_weight, bias):
    hidden = draw(rows, depth).requires_grad_()
    weight = draw(classes, depth, scale=2 / depth**0.5).float().double().requires_grad_()
    b = draw(classes).requires_grad_() if bias else None
    teacher = dict(hidden=draw(rows, teacher_depth), weight=draw(classes, teacher_depth), bias=draw(classes)) if teacher_depth else None
    v = F.linear(**{'input': teacher['hidden'], 'weight': teacher['weight'], 'bias': teacher['bias']}) if teacher else draw(rows, classes, scale=4)
    z = F.linear(hidden, weight, b)
    labels = torch.randint(0, classes, (rows,))
    labels[1::5] = -100
    weights = (torch.rand(rows) + 0.25).double() * (labels != -100)
    p = F.log_softmax(v / temperature, 1)
    q = F.log_softmax(z / temperature, 1)
    kl = F.kl_div(q, p, log_target=True, reduction='none').sum(1)
    ce = F.cross_entropy(z, labels, reduction='none', ignore_index=-100)
    soft = (weights * temperature**2 * kl).sum() / weights.sum()
    hard = (weights * ce).sum() / weights.sum()
    value = (1 - hard_weight) * soft + hard_weight * hard
    value.backward()
    return dict(rows=rows, classes=classes, depth=depth, teacherDepth=teacher_depth, temperature=temperature, hardWeight=hard_weight,
                hidden=numbers(hidden), weight=numbers(weight), bias=numbers(b) if bias else None,
                teacher={k: numbers(t) for k, t in teacher.items()} if teacher else dict(logits=numbers(v)),
                labels=labels.tolist(), rowWeights=numbers(weights.float().double()),
                value=float(value), soft=float(soft), hard=float(hard),
                gradients=dict(hidden=numbers(hidden.grad), weight=numbers(weight.grad), **(dict(bias=numbers(b.grad)) if bias else {})))


print(json.dumps(dict(
    provenance=dict(torch=torch.__version__, python=platform.python_version(), dtype='float64', seed=20150309),
    cases=[case(*c) for c in (
        (11, 13, 5, 0, 4.0, 0.1, True),
        (11, 13, 5, 7, 0.5, 0.0, True),
        (6, 40, 17, 3, 20.0, 0.3, False),
        (9, 7, 33, 0, 1000.0, 1.0, True),
    )],
)))
