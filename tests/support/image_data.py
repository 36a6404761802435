"""Image data modules, what they load, and random images in the formats of the official data sets."""

import pickle
import struct
from collections import Counter
from types import SimpleNamespace

import numpy as np
import torch
from torchvision import datasets

from nnzoo.data.images.module import ImageDataModule
from nnzoo.data.images.sources import SOURCES

PARTS = ("train", "val", "test")
DOWNLOADS = {name: source for name, source in SOURCES.items() if source.folder}


def images(loaded):
    return torch.cat([batch[0] for batch in loaded])


def same(first, second):
    return len(first) == len(second) and all(
        torch.equal(a, b) for one, other in zip(first, second, strict=True) for a, b in zip(one, other, strict=True)
    )


def rows(images, labels):
    """Each image with its label, as something that can be counted."""
    pixels = np.ascontiguousarray(images).reshape(len(images), -1)
    return Counter((image.tobytes(), int(label)) for image, label in zip(pixels, labels, strict=True))


def prepared(**arguments):
    module = ImageDataModule(**arguments)
    module.prepare_data()
    module.setup()
    return module


def on_device(module, rank=0, world_size=1, epoch=0, step=0):
    """As in a Trainer that trains on so many devices, at an epoch and a step."""
    progress = SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(ready=step)))
    module.trainer = SimpleNamespace(
        world_size=world_size,
        global_rank=rank,
        training=True,
        current_epoch=epoch,
        fit_loop=SimpleNamespace(epoch_loop=progress),
    )
    return module


def batches(module, part="train", epoch=0, step=0, world_size=1, rank=0):
    return list(getattr(on_device(module, rank, world_size, epoch, step), f"{part}_dataloader")())


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def make_mnist(folder, train_labels=None, num_test=30):
    """Writes random images in MNIST's format; returns images and labels of the official parts."""
    generator = np.random.default_rng(0)
    labels = {"train": np.arange(200) % 10 if train_labels is None else train_labels, "t10k": np.arange(num_test) % 10}
    data = {part: generator.integers(0, 256, (len(y), 28, 28), dtype=np.uint8) for part, y in labels.items()}
    for part in labels:
        write_idx(folder / f"{part}-images-idx3-ubyte", data[part])
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels[part])
    return {"train": (data["train"][:, None], labels["train"]), "test": (data["t10k"][:, None], labels["t10k"])}


def make_cifar(root, monkeypatch):
    generator = np.random.default_rng(0)
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    official = {}
    for part, name, count in (("train", "data_batch_1", 200), ("test", "test_batch", 30)):
        data, labels = generator.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), np.arange(count) % 10
        (folder / name).write_bytes(pickle.dumps({"data": data.reshape(count, -1), "labels": labels.tolist()}))
        official[part] = (data, labels)
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(i) for i in range(10)]}))
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", None]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": None})
    return official


def make_official(name, root, monkeypatch):
    return make_cifar(root, monkeypatch) if name == "cifar10" else make_mnist(root / DOWNLOADS[name].files)
