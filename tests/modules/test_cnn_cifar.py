import pickle

import numpy as np
import pytest
from nnzoo.recipes.cnn import main
from sklearn.metrics import accuracy_score

from nnzoo import CNNClassifier, ImageDataModule
from nnzoo.modules.optimizers import schedule_factor
from support.found import settings_of

pytestmark = pytest.mark.filterwarnings("ignore:.*")


def make_cifar10(folder, per_file=40):
    """Random images in the format of CIFAR-10's own python version."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        contents = {
            "data": rng.integers(0, 256, (per_file, 3072), dtype=np.uint8),
            "labels": [i % 10 for i in range(per_file)],
        }
        (folder / name).write_bytes(pickle.dumps(contents))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))


def test_the_recipe_of_cifar_runs_end_to_end(in_tmp, monkeypatch):
    for place in ("torchvision.datasets.cifar", "nnzoo.data.images.sources"):
        monkeypatch.setattr(f"{place}.check_integrity", lambda *_: True)
    make_cifar10(in_tmp / "cifar" / "cifar-10-batches-py")
    flags = ["--config", "cnn_cifar10", "--config", "smoke", "--data.root", "cifar", "--data.batch_size", "20"]
    metrics = main([*flags, "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"])
    (best,) = in_tmp.rglob("best.ckpt")
    model = CNNClassifier.load_from_checkpoint(best, map_location="cpu").eval()
    images, labels = ImageDataModule(dataset="cifar10", root="cifar").tensors("test")
    predicted = model(images).argmax(dim=1)
    assert metrics["test/accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    (figures,) = in_tmp.glob("runs/cnn/*/figures")
    assert {path.stem for path in figures.iterdir()} >= {"confusion_matrix", "first_layer", "grad_cam"}


def test_the_recipe_of_cifar_is_he_et_als_protocol():
    settings = settings_of("cnn_cifar10")
    module = CNNClassifier(in_shape=(3, 32, 32), **settings["model"])
    assert sum(p.numel() for p in module.parameters()) == 269_722
    steps, schedule, start = settings["trainer"]["max_steps"], module.hparams["lr_schedule"], module.hparams["lr"]
    assert steps == 64_000
    rates = [
        start * schedule_factor(step, steps, schedule, 0.0) for step in (0, 31_999, 32_000, 47_999, 48_000, 63_999)
    ]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert round(50_000 * (1 - settings["data"]["val_fraction"])) == 45_000
