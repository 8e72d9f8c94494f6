"""Convolutional students: the layers of their papers at small widths."""
import torch
import torch.nn.functional as F
from torch import nn


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 32), nn.Linear(32, 24), nn.Linear(24, 10)

    def forward(self, image):
        x = F.max_pool2d(torch.relu(self.conv1(image)), 2)
        x = F.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


def conv_bn(cin, cout, k, stride=1, groups=1, act=nn.ReLU):
    layers = [nn.Conv2d(cin, cout, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(cout)]
    return nn.Sequential(*layers, *([act()] if act else []))


class Basic(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1, self.conv2 = conv_bn(cin, cout, 3, stride), conv_bn(cout, cout, 3, act=None)
        self.down = conv_bn(cin, cout, 1, stride, act=None) if stride > 1 or cin != cout else None

    def forward(self, x):
        return torch.relu(self.conv2(self.conv1(x)) + (self.down(x) if self.down is not None else x))


class ResNet(nn.Module):
    """stem: '3x3' as on CIFAR, '7x7' with a pool as on ImageNet."""

    def __init__(self, depths, widths, stem):
        super().__init__()
        large = stem == "7x7"
        self.stem = conv_bn(3, widths[0], 7 if large else 3, 2 if large else 1)
        self.pool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        blocks, cin = [], widths[0]
        for i, (depth, width) in enumerate(zip(depths, widths)):
            for j in range(depth):
                blocks.append(Basic(cin, width, 2 if i > 0 and j == 0 else 1))
                cin = width
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(cin, 10)
        self.average = nn.AdaptiveAvgPool2d(1)

    def forward(self, image):
        x = self.average(self.blocks(self.pool(self.stem(image))))
        return self.head(torch.flatten(x, 1))


class Wide(nn.Module):
    """Pre-activation block (Zagoruyko & Komodakis 2016)."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(cin), nn.BatchNorm2d(cout)
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.short = nn.Conv2d(cin, cout, 1, stride, bias=False) if cin != cout else None

    def forward(self, x):
        pre = torch.relu(self.bn1(x))
        return self.conv2(torch.relu(self.bn2(self.conv1(pre)))) + (self.short(pre) if self.short is not None else x)


class WideResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 1, 1, bias=False)
        self.blocks = nn.Sequential(*[Wide(a, b, s) for a, b, s in
                                      [(6, 8, 1), (8, 8, 1), (8, 16, 2), (16, 16, 1), (16, 24, 2), (24, 24, 1)]])
        self.bn, self.head = nn.BatchNorm2d(24), nn.Linear(24, 10)

    def forward(self, image):
        x = torch.relu(self.bn(self.blocks(self.stem(image))))
        return self.head(F.avg_pool2d(x, 4).flatten(1))


class Inverted(nn.Module):
    """Inverted residual with depthwise convolution and, where `squeeze`, channel attention."""

    def __init__(self, cin, cout, stride, expand, k=3, act=nn.ReLU6, squeeze=None):
        super().__init__()
        mid = cin * expand
        self.residual = stride == 1 and cin == cout
        self.expand = conv_bn(cin, mid, 1, act=act) if expand > 1 else nn.Identity()
        self.depthwise = conv_bn(mid, mid, k, stride, groups=mid, act=act)
        self.squeeze = squeeze(mid) if squeeze else nn.Identity()
        self.project = conv_bn(mid, cout, 1, act=None)

    def forward(self, x):
        y = self.project(self.squeeze(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


class Squeeze(nn.Module):
    def __init__(self, width, inner=nn.ReLU, gate=nn.Hardsigmoid):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce, self.expand = nn.Conv2d(width, 4, 1), nn.Conv2d(4, width, 1)
        self.inner, self.gate = inner(), gate()

    def forward(self, x):
        return x * self.gate(self.expand(self.inner(self.reduce(self.pool(x)))))


def SmoothSqueeze(width):
    return Squeeze(width, nn.SiLU, nn.Sigmoid)


class Mobile(nn.Module):
    def __init__(self, stem, blocks, last, act, head=None):
        super().__init__()
        self.stem = conv_bn(3, stem, 3, 2, act=act)
        self.blocks = nn.Sequential(*blocks)
        self.last = conv_bn(*last, 1, act=act)
        self.head = head or nn.Linear(last[1], 10)

    def forward(self, image):
        return self.head(self.last(self.blocks(self.stem(image))).mean([2, 3]))


def mobilenet_v2():
    plan = [(6, 6, 1, 1), (6, 8, 2, 3), (8, 8, 1, 3), (8, 12, 2, 3), (12, 12, 1, 3)]
    return Mobile(6, [Inverted(*row) for row in plan], (12, 24), nn.ReLU6)


def mobilenet_v3():
    h, s = nn.Hardswish, Squeeze
    blocks = [Inverted(6, 6, 1, 1, 3, nn.ReLU, s), Inverted(6, 8, 2, 3, 3, nn.ReLU), Inverted(8, 8, 1, 3, 5, h, s),
              Inverted(8, 12, 2, 3, 5, h, s)]
    return Mobile(6, blocks, (12, 24), h, nn.Sequential(nn.Linear(24, 16), nn.Hardswish(), nn.Linear(16, 10)))


def efficientnet():
    e, s = SmoothSqueeze, nn.SiLU
    blocks = [Inverted(6, 6, 1, 1, 3, s, e), Inverted(6, 8, 2, 3, 3, s, e), Inverted(8, 8, 1, 3, 3, s, e),
              Inverted(8, 12, 2, 3, 5, s, e), Inverted(12, 12, 1, 3, 5, s, e)]
    return Mobile(6, blocks, (12, 24), s)


class ShuffleUnit(nn.Module):
    def __init__(self, width, stride):
        super().__init__()
        self.stride, half = stride, width // 2
        cin = half if stride == 1 else width // 2
        self.right = nn.Sequential(conv_bn(cin, half, 1), conv_bn(half, half, 3, stride, half, None), conv_bn(half, half, 1))
        self.left = nn.Sequential(conv_bn(cin, cin, 3, 2, cin, None), conv_bn(cin, half, 1)) if stride == 2 else None

    def forward(self, x):
        if self.stride == 1:
            a, b = x.chunk(2, dim=1)
            x = torch.cat([a, self.right(b)], 1)
        else:
            x = torch.cat([self.left(x), self.right(x)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class ShuffleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.pool = conv_bn(3, 8, 3, 1), nn.MaxPool2d(3, 2, 1)
        self.units = nn.Sequential(ShuffleUnit(16, 2), ShuffleUnit(16, 1), ShuffleUnit(16, 1))
        self.last, self.head = conv_bn(16, 24, 1), nn.Linear(24, 10)

    def forward(self, image):
        return self.head(self.last(self.units(self.pool(self.stem(image)))).mean([2, 3]))


class Fire(nn.Module):
    def __init__(self, cin, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Conv2d(cin, squeeze, 1)
        self.one, self.three = nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.one(x)), torch.relu(self.three(x))], 1)


class SqueezeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 1), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(8, 4, 8), Fire(16, 4, 8),
            nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16, 6, 12), nn.Dropout(0.5))
        self.classifier = nn.Sequential(nn.Conv2d(24, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)))

    def forward(self, image):
        return torch.flatten(self.classifier(self.features(image)), 1)


class Dense(nn.Module):
    def __init__(self, cin, grow):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(cin), nn.Conv2d(cin, 2 * grow, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(2 * grow), nn.Conv2d(2 * grow, grow, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(torch.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(torch.relu(self.norm2(y)))], 1)


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.one = nn.Sequential(Dense(8, 4), Dense(12, 4), Dense(16, 4))
        self.transition = nn.Sequential(nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1, bias=False), nn.AvgPool2d(2))
        self.two = nn.Sequential(Dense(10, 4), Dense(14, 4), Dense(18, 4))
        self.norm, self.head = nn.BatchNorm2d(22), nn.Linear(22, 10)

    def forward(self, image):
        x = torch.relu(self.norm(self.two(self.transition(self.one(self.stem(image))))))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class UNet(nn.Module):
    """One class a pixel; instance and group norms, up by a transposed convolution and by interpolation."""

    def __init__(self):
        super().__init__()
        self.down1 = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.InstanceNorm2d(6, affine=True), nn.LeakyReLU(0.1))
        self.down2 = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.GroupNorm(2, 8), nn.PReLU(8))
        self.middle = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.GroupNorm(3, 12), nn.ELU())
        self.up1, self.mix1 = nn.ConvTranspose2d(12, 8, 2, 2), nn.Conv2d(16, 8, 3, padding=1)
        self.mix2, self.head = nn.Conv2d(14, 8, 3, padding=1), nn.Conv2d(8, 3, 1)

    def forward(self, image):
        a = self.down1(image)
        b = self.down2(a)
        x = self.up1(self.middle(b))
        x = F.softplus(self.mix1(torch.cat([x, b], 1)))
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.head(torch.tanh(self.mix2(torch.cat([x, a], 1))))
