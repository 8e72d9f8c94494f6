"""Two classifiers as PyTorch exports them, for tests that distil models which imago did not write.

  python3 export_classifiers.py DIGITS.npz

DIGITS.npz holds `images` uint8 [N, 28, 28] and `labels` [N] of the embedded digits (scripts/export-digits.mjs writes it).
teacher.onnx: a small conv net, trained here, exported by the TorchScript exporter, input `image` [batch, 1, 28, 28] in
[0, 1], output `probabilities` behind a Softmax. student.onnx: an untrained MLP, exported by torch.export with
optimize=False, input `pixels` [batch, 784] standardised by mean 0.13 and deviation 0.31, output `scores`.
Both are Apache-2.0 like the rest; provenance.json says which versions made them.
"""

import json
import sys

import numpy as np
import torch
from torch import nn

torch.manual_seed(20261120)
torch.set_num_threads(1)
data = np.load(sys.argv[1])
images = torch.from_numpy(data["images"]).float().div(255).reshape(-1, 1, 28, 28)
labels = torch.from_numpy(data["labels"].astype("int64"))


class Teacher(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 5, padding=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.classifier = nn.Linear(16 * 7 * 7, 10)

    def forward(self, image):
        return self.classifier(self.features(image).flatten(1))


class Probabilities(nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, image):
        return torch.softmax(self.logits(image), 1)


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 16)
        self.out = nn.Linear(16, 10)

    def forward(self, pixels):
        return self.out(torch.relu(self.hidden(pixels)))


teacher = Teacher()
optimizer = torch.optim.AdamW(teacher.parameters(), lr=3e-3)
for epoch in range(6):
    for rows in torch.randperm(len(images)).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(teacher(images[rows]), labels[rows]).backward()
        optimizer.step()
teacher.eval()
with torch.no_grad():
    errors = int((teacher(images).argmax(1) != labels).sum())
print("teacher errors on its training rows:", errors, "of", len(images))

torch.onnx.export(
    Probabilities(teacher).eval(), (images[:2],), "teacher.onnx", dynamo=False, opset_version=17,
    input_names=["image"], output_names=["probabilities"], dynamic_axes={"image": {0: "batch"}, "probabilities": {0: "batch"}},
)
student = Student().eval()
torch.onnx.export(
    student, (torch.zeros(2, 784),), "student.onnx", dynamo=True, optimize=False, opset_version=18, external_data=False,
    input_names=["pixels"], output_names=["scores"], dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}},
)
probe = images[:4]
with torch.no_grad():
    expected = {
        "teacher": torch.softmax(teacher(probe), 1).tolist(),
        "student": student((probe.reshape(4, 784) - 0.13) / 0.31).tolist(),
    }
import onnx  # noqa: E402  (only for its version)

json.dump(
    {"torch": torch.__version__, "onnx": onnx.__version__, "numpy": np.__version__, "rows": len(images), "teacherTrainingErrors": errors, "probe": expected},
    open("provenance.json", "w"), indent=1,
)
