"""Gradients of ops that ONNX Runtime has in float32 only, by PyTorch's autograd in float64.

Run in this folder: python3 make.py. Writes one JSON per family; inputs and cotangents are not stored, both sides compute them
by `values` (exact in float32). A row names the op, its attributes and the shapes; N is the size of every open batch.
"""
import json
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
MASK = 0xFFFFFFFF


def values(count, salt):
    made = []
    for i in range(count):
        h = (i * 2654435761 + salt * 40503 + 12345) & MASK
        h ^= h >> 15
        h = (h * 2246822519) & MASK
        h ^= h >> 13
        made.append((h % 65521 - 32760) / 8192)
    return made


def filled(shape, salt):
    count = 1
    for size in shape:
        count *= size
    return torch.tensor(values(count, salt)).reshape(shape)


def rounded(t):
    return [float(f"{x:.8g}") for x in t.reshape(-1).tolist()]


# The value of K, a second open size.
K = 5


def row(op, title, inputs, compute, attributes=None, sizes=(1, 2, 5), domain=""):
    runs = []
    for n in sizes:
        given = {}
        for salt, (name, shape) in enumerate(inputs.items()):
            given[name] = filled([{"N": n, "K": K}.get(s, s) for s in shape], salt + 1).requires_grad_()
        y = compute(*given.values())
        dY = filled(list(y.shape), 99)
        grads = torch.autograd.grad(y, list(given.values()), dY)
        runs.append({"N": n, "K": K, "output": list(y.shape), "gradients": {k: rounded(g) for k, g in zip(given, grads)}})
    return {"op": op, "domain": domain, "title": title, "attributes": attributes or {}, "inputs": inputs, "runs": runs}


def write(name, rows):
    provenance = {"script": "make.py", "torch": torch.__version__, "dtype": "float64", "device": "cpu"}
    with open(f"{name}.json", "w") as file:
        json.dump({"provenance": provenance, "rows": rows}, file, separators=(",", ":"))
        file.write("\n")


X = {"x": ["N", 3, 4]}
activations = [
    row("Elu", "alpha", X, lambda x: F.elu(x, 0.75), {"alpha": {"float": 0.75}}),
    row("Elu", "negative alpha", X, lambda x: torch.where(x > 0, x, -0.5 * (torch.exp(x) - 1)), {"alpha": {"float": -0.5}}),
    row("Selu", "default", X, F.selu),
    row("Celu", "alpha", X, lambda x: F.celu(x, 0.75), {"alpha": {"float": 0.75}}),
    row("ThresholdedRelu", "alpha", X, lambda x: F.threshold(x, 0.5, 0.0), {"alpha": {"float": 0.5}}),
    row("Softplus", "", X, F.softplus),
    row("Softsign", "", X, F.softsign),
    row("HardSigmoid", "default", X, lambda x: torch.clamp(0.2 * x + 0.5, 0, 1)),
    row("HardSigmoid", "steep", X, lambda x: torch.clamp(0.75 * x + 0.25, 0, 1), {"alpha": {"float": 0.75}, "beta": {"float": 0.25}}),
    row("HardSwish", "across ±3", X, F.hardswish),
    row("Erf", "", X, torch.erf),
    row("Gelu", "of com.microsoft", X, F.gelu, domain="com.microsoft"),
    row("Gelu", "exact", X, F.gelu),
    row("Gelu", "tanh", X, lambda x: F.gelu(x, approximate="tanh"), {"approximate": {"string": "tanh"}}),
    row("Mean", "broadcast", {"p": ["N", 3], "q": [3], "r": ["N", 1]}, lambda p, q, r: (p + q + r) / 3),
    row("Mean", "one operand", {"p": ["N", 3]}, lambda p: p * 1),
]
write("activation", activations)
write("normalization", [
    row(
        "InstanceNormalization", f"{len(rest)}-D", {"x": ["N", 3, *rest], "gamma": [3], "beta": [3]},
        lambda x, gamma, beta: F.instance_norm(x, weight=gamma, bias=beta, eps=0.125), {"epsilon": {"float": 0.125}},
    )
    for rest in ([6], [3, 4])
])


def padded(x, pads, value=0.0):
    """ONNX order (all begins, then all ends) to PyTorch's (last axis first)."""
    rank = len(pads) // 2
    flat = []
    for axis in reversed(range(rank)):
        flat += [pads[axis], pads[rank + axis]]
    return F.pad(x, flat, value=value)


def conv(title, x, w, strides=None, pads=None, dilations=None, group=1, bias=True, auto_pad=None, sizes=(2,)):
    rank = len(w) - 2
    op = [F.conv1d, F.conv2d, F.conv3d][rank - 1]
    s, d = strides or [1] * rank, dilations or [1] * rank
    p = pads or [0] * 2 * rank
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        p = [0] * 2 * rank
        for axis in range(rank):
            size = x[2 + axis]
            total = max(0, (-(-size // s[axis]) - 1) * s[axis] + d[axis] * (w[2 + axis] - 1) + 1 - size)
            small = total // 2
            p[axis], p[rank + axis] = (small, total - small) if auto_pad == "SAME_UPPER" else (total - small, small)
    attributes = {"group": {"int": group}}
    if strides:
        attributes["strides"] = {"ints": strides}
    if dilations:
        attributes["dilations"] = {"ints": dilations}
    if auto_pad:
        attributes["auto_pad"] = {"string": auto_pad}
    elif pads:
        attributes["pads"] = {"ints": pads}
    inputs = {"x": x, "W": w, **({"B": [w[0]]} if bias else {})}
    compute = lambda x, W, B=None: op(padded(x, p), W, B, stride=s, dilation=d, groups=group)
    return row("Conv", title, inputs, compute, attributes, sizes)


convs = [
    conv("3×3", ["N", 2, 5, 4], [3, 2, 3, 3], sizes=(1, 2, 5)),
    conv("1×1", ["N", 3, 3, 4], [2, 3, 1, 1]),
    conv("padding 1", ["N", 2, 4, 4], [3, 2, 3, 3], pads=[1, 1, 1, 1], sizes=(1, 2)),
    conv("stride 2, a remainder", ["N", 2, 6, 5], [3, 2, 3, 2], strides=[2, 2], pads=[1, 0, 1, 0], sizes=(1, 2)),
    conv("asymmetric padding", ["N", 1, 5, 5], [2, 1, 3, 3], strides=[2, 1], pads=[0, 2, 1, 1]),
    conv("dilation", ["N", 2, 7, 6], [2, 2, 3, 2], dilations=[2, 3], pads=[1, 0, 2, 1]),
    conv("stride 3 with dilation 2", ["N", 2, 9, 8], [2, 2, 2, 3], strides=[3, 2], dilations=[2, 2], pads=[1, 1, 0, 2]),
    conv("two groups", ["N", 4, 5, 5], [6, 2, 3, 3], group=2, pads=[1, 1, 1, 1]),
    conv("two groups, stride 2, dilation 2", ["N", 4, 7, 6], [2, 2, 2, 2], group=2, strides=[2, 2], dilations=[2, 1], sizes=(1, 2)),
    conv("depthwise", ["N", 3, 5, 4], [3, 1, 3, 3], group=3, pads=[1, 1, 1, 1], sizes=(1, 2)),
    conv("depthwise, two filters a channel, stride 2", ["N", 3, 6, 5], [6, 1, 3, 3], group=3, strides=[2, 2], pads=[1, 1, 1, 1]),
    conv("no bias", ["N", 1, 4, 4], [2, 1, 2, 2], bias=False),
    conv("SAME_UPPER, stride 2", ["N", 2, 6, 5], [2, 2, 3, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
    conv("SAME_LOWER", ["N", 2, 4, 5], [2, 2, 2, 2], auto_pad="SAME_LOWER"),
    conv("VALID", ["N", 2, 4, 5], [2, 2, 2, 2], auto_pad="VALID"),
    conv("a kernel as large as the image", ["N", 2, 3, 4], [3, 2, 3, 4]),
    conv("1-D", ["N", 2, 9], [3, 2, 3], strides=[2], pads=[1, 2], sizes=(1, 2, 5)),
    conv("1-D, dilation and groups", ["N", 4, 9], [4, 2, 2], dilations=[3], group=2),
    conv("open height and width", ["N", 2, "K", "K"], [3, 2, 3, 2], pads=[1, 0, 1, 1]),
    conv("open height and width, stride 2", ["N", 2, "K", "K"], [3, 2, 2, 3], strides=[2, 3]),
    conv("3-D", ["N", 2, 4, 3, 4], [2, 2, 2, 2, 3], pads=[0, 1, 0, 1, 0, 1]),
    conv("3-D, stride 2, groups", ["N", 2, 4, 5, 4], [2, 1, 2, 2, 2], strides=[2, 2, 1], group=2),
]
write("conv", convs)
# Enough channels for the paths that many channels take: one Gemm per tap, turned filters.
write("conv-wide", [
    conv("16 to 33 channels", ["N", 16, 4, 3], [33, 16, 2, 1], pads=[1, 0, 0, 1]),
    conv("36 to 15 channels, asymmetric padding, dilation", ["N", 36, 3, 4], [15, 36, 2, 2], dilations=[2, 1], pads=[2, 0, 1, 1]),
    conv("36 to 15 channels, 1×1", ["N", 36, 3, 2], [15, 36, 1, 1]),
    conv("16 to 32 channels, stride 2", ["N", 16, 5, 4], [32, 16, 2, 1], strides=[2, 2]),
    conv("36 to 15 channels, padding beyond the kernel", ["N", 36, 2, 2], [15, 36, 2, 1], pads=[2, 0, 0, 1]),
])


def conv_transpose(title, x, w, strides=None, pads=None, dilations=None, group=1, extra=None, sizes=(2,)):
    rank = len(w) - 2
    op = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][rank - 1]
    s, d, e = strides or [1] * rank, dilations or [1] * rank, extra or [0] * rank
    p = pads or [0] * 2 * rank
    attributes = {"group": {"int": group}, "strides": {"ints": s}, "dilations": {"ints": d}, "pads": {"ints": p}}
    if extra:
        attributes["output_padding"] = {"ints": extra}

    def compute(x, W, B):
        y = op(x, W, B, stride=s, dilation=d, groups=group, output_padding=e)
        for axis in range(rank):
            size = y.shape[2 + axis]
            y = y.narrow(2 + axis, p[axis], size - p[axis] - p[rank + axis])
        return y

    return row("ConvTranspose", title, {"x": x, "W": w, "B": [w[1] * group]}, compute, attributes, sizes)


write("conv-transpose", [
    conv_transpose("plain", ["N", 2, 3, 4], [2, 3, 3, 2], sizes=(1, 2, 5)),
    conv_transpose("stride 2, padding", ["N", 2, 3, 3], [2, 3, 3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    conv_transpose("output padding", ["N", 2, 3, 3], [2, 2, 3, 3], strides=[2, 2], pads=[1, 0, 1, 1], extra=[1, 1]),
    conv_transpose("dilation, groups", ["N", 4, 3, 3], [4, 2, 2, 2], dilations=[2, 1], group=2),
    conv_transpose("1-D", ["N", 2, 5], [2, 2, 3], strides=[3]),
    conv_transpose("3-D", ["N", 2, 2, 3, 2], [2, 2, 2, 2, 2], strides=[2, 1, 1]),
])


def average(title, x, kernel, strides=None, pads=None, include=0, ceil=0, auto_pad=None, sizes=(2,)):
    rank = len(kernel)
    s = strides or [1] * rank
    p = list(pads or [0] * 2 * rank)
    attributes = {"kernel_shape": {"ints": kernel}, "strides": {"ints": s}, "count_include_pad": {"int": include}}
    if auto_pad:
        attributes["auto_pad"] = {"string": auto_pad}
        for axis in range(rank):
            size = x[2 + axis]
            total = max(0, (-(-size // s[axis]) - 1) * s[axis] + kernel[axis] - size)
            small = total // 2
            p[axis], p[rank + axis] = (small, total - small) if auto_pad == "SAME_UPPER" else (total - small, small)
    else:
        attributes["pads"] = {"ints": p}
    if ceil:
        attributes["ceil_mode"] = {"int": 1}
    op = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d][rank - 1]

    def compute(x):
        whole = torch.ones([1, 1, *x.shape[2:]])
        # Sum and count by themselves: the mean over what counts, also where PyTorch has no asymmetric padding.
        area = 1
        for size in kernel:
            area *= size
        image, count = padded(x, p), padded(whole, p, value=float(include))
        if ceil:
            more = [0] * rank + [(-(image.shape[2 + a] - kernel[a])) % s[a] for a in range(rank)]
            image, count = padded(image, more), padded(count, more)
        return op(image, kernel, s) / op(count, kernel, s)

    return row("AveragePool", title, {"x": x}, compute, attributes, sizes)


pools = []
for include in (0, 1):
    name = ", padding counted" if include else ""
    pools += [
        average(f"2×2, stride 2{name}", ["N", 2, 4, 4], [2, 2], [2, 2], include=include, sizes=(1, 2, 5)),
        average(f"a remainder that no window reaches{name}", ["N", 2, 5, 5], [2, 2], [2, 2], include=include),
        average(f"overlap and padding{name}", ["N", 2, 5, 6], [3, 3], [2, 2], [1, 1, 1, 1], include=include),
        average(f"asymmetric padding{name}", ["N", 1, 6, 5], [3, 2], [2, 1], [0, 1, 1, 0], include=include),
        average(f"ceil_mode{name}", ["N", 2, 6, 5], [3, 2], [2, 2], ceil=1, include=include),
        average(f"SAME_UPPER{name}", ["N", 2, 5, 4], [3, 3], [2, 2], auto_pad="SAME_UPPER", include=include),
        average(f"SAME_LOWER{name}", ["N", 2, 4, 4], [2, 2], auto_pad="SAME_LOWER", include=include),
        average(f"1-D{name}", ["N", 2, 9], [3], [2], [1, 1], include=include),
        average(f"3-D{name}", ["N", 2, 3, 4, 2], [2, 2, 2], [1, 2, 1], include=include),
    ]
pools += [
    row("GlobalAveragePool", "2-D", {"x": ["N", 3, 2, 4]}, lambda x: x.mean((2, 3), keepdim=True)),
    row("GlobalAveragePool", "1-D", {"x": ["N", 3, 4]}, lambda x: x.mean(2, keepdim=True)),
    row("GlobalAveragePool", "open height and width", {"x": ["N", 3, "K", "K"]}, lambda x: x.mean((2, 3), keepdim=True), sizes=(2,)),
    row("GlobalMaxPool", "2-D", {"x": ["N", 3, 2, 4]}, lambda x: x.amax((2, 3), keepdim=True)),
]
write("pool", pools)


def small_net(n):
    """Conv, BatchNormalization on the batch, ReLU, MaxPool, Conv, ReLU, AveragePool, Gemm, dropout of the hidden units, Gemm."""
    shapes = {
        "x": [n, 2, 8, 8], "conv1.weight": [4, 2, 3, 3], "conv1.bias": [4], "bn.weight": [4], "bn.bias": [4],
        "conv2.weight": [6, 4, 3, 3], "conv2.bias": [6], "fc1.weight": [5, 24], "fc1.bias": [5], "fc2.weight": [3, 5], "fc2.bias": [3],
    }
    p = {name: (filled(shape, salt + 1) / (1 if name == "x" else 4)).requires_grad_() for salt, (name, shape) in enumerate(shapes.items())}
    mask = torch.where(filled([n, 5], 77) > 0, 2.0, 0.0)
    h = F.conv2d(p["x"], p["conv1.weight"], p["conv1.bias"], padding=1)
    mean, variance = h.mean((0, 2, 3)), h.var((0, 2, 3), unbiased=False)
    h = F.batch_norm(h, None, None, p["bn.weight"], p["bn.bias"], training=True, eps=1e-3)
    h = F.max_pool2d(F.relu(h), 2)
    h = F.relu(F.conv2d(h, p["conv2.weight"], p["conv2.bias"], padding=1))
    h = F.avg_pool2d(h, 2).flatten(1)
    h = F.relu(F.linear(h, p["fc1.weight"], p["fc1.bias"])) * mask
    y = F.log_softmax(F.linear(h, p["fc2.weight"], p["fc2.bias"]), dim=1)
    grads = torch.autograd.grad(y, list(p.values()), filled(list(y.shape), 99))
    return {
        "N": n,
        "output": rounded(y),
        "statistics": {"mean": rounded(mean), "variance": rounded(variance)},
        "gradients": {name: rounded(g) for name, g in zip(p, grads)},
    }


provenance = {"script": "make.py", "torch": torch.__version__, "dtype": "float64", "device": "cpu"}
with open("small-net.json", "w") as file:
    json.dump({"provenance": provenance, "runs": [small_net(n) for n in (1, 2, 5)]}, file, separators=(",", ":"))
    file.write("\n")
