"""Goldens of the kernels from PyTorch in float64.

    python3 make.py > torch.json

Inputs are float32 numbers; losses and gradients come from torch.nn.functional and autograd, optimizers from torch.optim.
"""
import json
import platform

import torch
import torch.nn.functional as F

torch.manual_seed(20150309)


def numbers(t):
    return [float(x) for x in t.detach().reshape(-1)]


def draw(*shape, scale=1.0):
    return (torch.randn(*shape) * scale).double()


def losses():
    out = []
    for classes in (2, 10, 17):
        for temperature in (0.5, 4.0, 20.0, 1000.0):
            for hard_weight in (0.0, 0.1, 1.0):
                rows = 3
                student = draw(rows, classes, scale=2).requires_grad_()
                teacher = draw(rows, classes, scale=4)
                labels = torch.randint(0, classes, (rows,))
                weights = torch.rand(rows).double() + 0.25
                weights = weights.float().double()
                p = F.log_softmax(teacher / temperature, 1)
                q = F.log_softmax(student / temperature, 1)
                kl = F.kl_div(q, p, log_target=True, reduction='none').sum(1)
                ce = F.cross_entropy(student, labels, reduction='none')
                soft = (weights * temperature**2 * kl).sum() / weights.sum()
                hard = (weights * ce).sum() / weights.sum()
                value = (1 - hard_weight) * soft + hard_weight * hard
                value.backward()
                out.append(dict(rows=rows, classes=classes, temperature=temperature, hardWeight=hard_weight,
                                student=numbers(student), teacher=numbers(teacher), labels=labels.tolist(),
                                rowWeights=numbers(weights), value=float(value), soft=float(soft), hard=float(hard),
                                gradient=numbers(student.grad)))
    return out


def cross_entropies():
    out = []
    for smoothing in (0.0, 0.1, 1.0):
        student = draw(5, 7, scale=3).requires_grad_()
        labels = torch.tensor([0, 6, -100, 3, 3])
        value = F.cross_entropy(student, labels, label_smoothing=smoothing, ignore_index=-100)
        value.backward()
        out.append(dict(rows=5, classes=7, smoothing=smoothing, student=numbers(student), labels=labels.tolist(),
                        value=float(value), gradient=numbers(student.grad)))
    return out


def softmaxes():
    out = []
    for temperature in (0.1, 1.0, 7.0):
        logits = draw(3, 5, scale=5)
        out.append(dict(rows=3, classes=5, temperature=temperature, logits=numbers(logits),
                        probabilities=numbers(F.softmax(logits / temperature, 1)),
                        logProbabilities=numbers(F.log_softmax(logits / temperature, 1))))
    return out


def optimizers():
    out = []
    for name, make, settings in (
        ('sgd', torch.optim.SGD, dict(lr=0.1)),
        ('sgd', torch.optim.SGD, dict(lr=0.05, momentum=0.9)),
        ('sgd', torch.optim.SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.01)),
        ('adamw', torch.optim.AdamW, dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)),
        ('adamw', torch.optim.AdamW, dict(lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
    ):
        parameter = draw(6).requires_grad_()
        start = numbers(parameter)
        optimizer = make([parameter], **settings)
        gradients, parameters = [], []
        for _ in range(6):
            gradient = draw(6)
            parameter.grad = gradient.clone()
            optimizer.step()
            gradients.append(numbers(gradient))
            parameters.append(numbers(parameter))
        out.append(dict(name=name, settings=settings, start=start, gradients=gradients, parameters=parameters))
    return out


def renormed():
    """torch.renorm with maxnorm: what torch.nn.utils' max-norm users call; dim 0 = a unit is a row."""
    matrix = draw(4, 3, scale=2)
    return dict(matrix=numbers(matrix), maxNorm=2.0, rows=numbers(torch.renorm(matrix, 2, 0, 2.0)),
                columns=numbers(torch.renorm(matrix, 2, 1, 2.0)))


print(json.dumps(dict(
    provenance=dict(torch=torch.__version__, python=platform.python_version(), dtype='float64', seed=20150309),
    losses=losses(), crossEntropies=cross_entropies(), softmaxes=softmaxes(), optimizers=optimizers(), renormed=renormed(),
)))
