"""
What PyTorch's exporters do to a model that was meant to be trained, one small file for each trick (torch, onnx, onnxscript). Run in this
folder: python3 make.py. Weights are those of torch.manual_seed(1); doc strings and source lines are taken out.
The TorchScript exporter runs a module in training mode, so that running statistics differ between the two exporters' files.
"""
import logging
import os
import warnings

import onnx
import torch
from torch import nn

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
TRAINING = dict(training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False)


class Pixels(nn.Module):
    """Two convolutions with batch normalization; the first layer is called encoder."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.conv, self.norm = nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 3)

    def forward(self, image):
        return self.head(torch.relu(self.norm(self.conv(self.encoder(image)))).mean([2, 3]))


class Fresh(nn.Module):
    """A transformer layer as it is before training: all biases 0, all norms 1."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(4, 6), nn.Linear(6, 3)
        self.layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.1, batch_first=True, activation="gelu")
        self.norm = nn.LayerNorm(6)
        for linear in (self.embed, self.head):
            nn.init.zeros_(linear.bias)

    def forward(self, x):
        return self.head(self.norm(self.layer(self.embed(x))).mean(1))


class Tied(nn.Module):
    """One matrix for the words that come in and those that go out."""

    def __init__(self):
        super().__init__()
        self.words, self.mix, self.decode = nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 9, bias=False)
        self.decode.weight = self.words.weight

    def forward(self, ids):
        return self.decode(torch.tanh(self.mix(self.words(ids))).mean(1))


class Grouped(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Linear(4, 3)

    def forward(self, image):
        return self.head(torch.tanh(self.norm(self.conv(image))).mean([2, 3]))


def legacy(net, given, name, **options):
    torch.onnx.export(net, given, name, dynamo=False, opset_version=17, input_names=["x"], output_names=["logits"],
                      dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}}, **options)
    clean(name)


def dynamo(net, given, name, external=False, **options):
    program = torch.onnx.export(net, given, dynamo=True, verbose=False, input_names=["x"], output_names=["logits"],
                                dynamic_shapes=({0: torch.export.Dim("batch")},), **options)
    program.save(name, external_data=external)
    clean(name)


def clean(name):
    model = onnx.load(name, load_external_data=False)
    for graph in [model.graph, *model.functions]:
        del graph.metadata_props[:]
        for node in graph.node:
            node.doc_string = ""
            kept = [(p.key, p.value) for p in node.metadata_props if p.key == "pkg.onnxscript.rewriter.rule_name"]
            del node.metadata_props[:]
            for key, value in kept:
                node.metadata_props.add(key=key, value=value)
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer]:
        value.doc_string = ""
        del value.metadata_props[:]
    model.doc_string = ""
    onnx.save(model, name)
    print(name, os.path.getsize(name))


def seeded(make, mode="train"):
    torch.manual_seed(1)
    return getattr(make(), mode)()


pixels, sequence, ids = torch.zeros(2, 1, 8, 8), torch.zeros(2, 5, 4), torch.zeros(2, 5, dtype=torch.long)
legacy(seeded(Pixels), pixels, "plain.onnx", **TRAINING)
dynamo(seeded(Pixels), pixels, "plain.dynamo.onnx", optimize=False)
dynamo(seeded(Pixels), pixels, "folded.dynamo.onnx")
legacy(seeded(Pixels, "eval"), pixels, "folded.onnx")
dynamo(seeded(Fresh), sequence, "merged.dynamo.onnx")
legacy(seeded(Tied), ids, "tied.onnx", **TRAINING)
dynamo(seeded(Tied), ids, "tied.dynamo.onnx", optimize=False)
legacy(seeded(Pixels), pixels, "functions.onnx", export_modules_as_functions={nn.BatchNorm2d}, **TRAINING)
legacy(seeded(Pixels).half(), pixels.half(), "half.onnx", **TRAINING)
dynamo(seeded(Pixels).half(), pixels.half(), "half.dynamo.onnx", optimize=False)
dynamo(seeded(Pixels), pixels, "external.dynamo.onnx", external=True, optimize=False)
dynamo(seeded(Grouped), pixels, "grouped.dynamo.onnx")
