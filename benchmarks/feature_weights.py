"""Makes the weights that ``nnzoo.SampleQuality`` comes with, and prints what ``SHIPPED`` has to say of them.

    python benchmarks/feature_weights.py digits mnist

MNIST is taken from ``$NNZOO_DATA``. Another version of PyTorch may give other bits.
"""

import hashlib
import sys

import torch

from nnzoo import ImageDataModule
from nnzoo.baselines.features import STEPS, WEIGHTS, as_file, trained
from nnzoo.files import replacing


def main(names: list[str]) -> None:
    for name in names:
        data = ImageDataModule(dataset=name)
        network = trained(*data.tensors("train"), data.num_classes, STEPS)
        path = WEIGHTS / f"{name}.pt"
        with replacing(path) as temporary:
            temporary.write_bytes(as_file(network.weights()))
        images, labels = data.tensors("test")
        with torch.no_grad():
            right = network.classifier(network.shrunk(images)).argmax(dim=1) == labels
        content = path.read_bytes()
        print(f"{path}: {len(content)} bytes, {hashlib.sha256(content).hexdigest()}, {right.float().mean():.2%} right")


if __name__ == "__main__":
    main(sys.argv[1:])
