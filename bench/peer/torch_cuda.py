"""Times PyTorch (eager, torch.compile, compiled grad_and_value) and Liger-Kernel's kl_div on a GPU, on the shapes given as JSON.

Usage: python3 torch_cuda.py '[[1024, 10], …]'. Prints one JSON line: {"torch", "liger", "results": [{"variant", "name", "ms"}]} or
{"reason"}. The loss is (1 - a)·T²·KL(teacher ‖ student) + a·CE with T = 4, a = 0.1, with its gradient by the student's logits.
"""

import json
import sys

T, A = 4.0, 0.1


def main(shapes):
    try:
        import torch
        import torch.nn.functional as F
    except ImportError as error:
        return {"reason": f"no PyTorch: {error}"}
    if not torch.cuda.is_available():
        return {"reason": "PyTorch sees no GPU"}

    def loss_of(z, v, y):
        kl = F.kl_div(F.log_softmax(z / T, 1), F.log_softmax(v / T, 1), reduction="batchmean", log_target=True)
        return (1 - A) * T * T * kl + A * F.cross_entropy(z, y)

    def backward(z, v, y):
        loss = loss_of(z, v, y)
        return torch.autograd.grad(loss, z)[0], loss

    def liger():
        try:
            from liger_kernel.transformers import LigerKLDIVLoss
        except ImportError as error:
            return None, f"no Liger-Kernel: {error}"
        kl = LigerKLDIVLoss(reduction="batchmean")

        def step(z, v, y):
            soft = kl(F.log_softmax(z / T, 1), F.softmax(v / T, 1))
            loss = (1 - A) * T * T * soft + A * F.cross_entropy(z, y)
            return torch.autograd.grad(loss, z)[0], loss

        return step, None

    liger_step, why_not = liger()

    def time(call):
        def elapsed(count):
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            for _ in range(count):
                call()
            end.record()
            torch.cuda.synchronize()
            return start.elapsed_time(end)

        elapsed(3)
        count = max(1, min(2000, int(20 / max(1e-3, elapsed(3) / 3))))
        blocks = sorted(elapsed(count) / count for _ in range(7))
        return blocks[3]

    results = []
    for rows, classes in shapes:
        for teacher_type in (torch.float32, torch.bfloat16):
            name = f"({rows}, {classes}) {'float32' if teacher_type is torch.float32 else 'bfloat16 teacher'}"
            try:
                torch.manual_seed(0)
                z = torch.randn(rows, classes, device="cuda") * 3
                v = (torch.randn(rows, classes, device="cuda") * 3).to(teacher_type)
                y = torch.zeros(rows, dtype=torch.long, device="cuda")
                z_grad = z.clone().requires_grad_()
                torch._dynamo.reset()
                variants = {"eager": lambda: backward(z_grad, v.float(), y)}
                compiled = torch.compile(loss_of)
                variants["compile"] = lambda: torch.autograd.grad(compiled(z_grad, v.float(), y), z_grad)
                gv = torch.compile(torch.func.grad_and_value(lambda z, v, y: loss_of(z, v.float(), y)))
                variants["gv"] = lambda: gv(z, v, y)
                if liger_step is not None and teacher_type is torch.float32:
                    variants["liger"] = lambda: liger_step(z_grad, v, y)
            except torch.cuda.OutOfMemoryError as error:
                results.append({"variant": "all", "name": name, "reason": str(error).split("\n")[0]})
                continue
            for variant, call in variants.items():
                try:
                    results.append({"variant": variant, "name": name, "ms": time(call)})
                except Exception as error:  # one variant that fails must not cost the others
                    results.append({"variant": variant, "name": name, "reason": str(error).split("\n")[0][:200]})
                torch.cuda.empty_cache()
            del z, v, y, z_grad, variants
            torch.cuda.empty_cache()
    return {"torch": torch.__version__, "liger": why_not is None, "whyNotLiger": why_not, "results": results}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
