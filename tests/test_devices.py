"""Two processes see the global batches of one, and end with its weights up to rounding."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from support.found import CASES, recipe_of, run

FLAGS = [
    *("--trainer.max_epochs", "2", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--trainer.limit_train_batches", "4", "--model.lr_schedule", "constant"),
    "--trainer.callbacks=null",
    "--trainer.callbacks+=support.helpers.RecordBatches",
]
AUGMENTED = ["--data.shift", "0.1", "--data.rotation", "10"]
# What makes the loss deterministic: processes draw different noise on purpose.
NOISELESS = {
    "autoencoder": ["--model.noise", "none", *AUGMENTED],
    "mlp": ["--model.dropout", "0"],
    "mlp_diabetes": ["--model.dropout", "0"],
    "forecaster": ["--model.dropout", "0"],
    "sequence_generator": ["--model.dropout", "0", *AUGMENTED],
    "seq2seq": [],
    "rnn": ["--model.head_dropout", "0"],
    "rnn_adding": [],
    "tagger": [],
    "cnn": ["--model.norm", "none", "--model.dropout", "0", *AUGMENTED],  # batch norm sees its own device's samples
    "vae": ["--model", "support.helpers.NoiselessVAE", *AUGMENTED],
}


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_as_one(name, in_tmp):
    flags = [*FLAGS, *NOISELESS[name]]
    one = run(name, [*flags, "--trainer.callbacks.folder", "one", "--trainer.default_root_dir", "one"], ["fit"])

    flags += ["--trainer.callbacks.folder", "two", "--trainer.default_root_dir", "two"]
    flags += ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-m", f"nnzoo.recipes.{recipe_of(name)}", "fit", "--config", name, *flags]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr

    steps = torch.load("one/rank0.pt")
    ranks = [torch.load(f"two/rank{rank}.pt") for rank in range(2)]
    assert len(steps) == len(ranks[0]) == len(ranks[1]) == 8
    for images, *parts in zip(steps, *ranks, strict=True):
        assembled = torch.zeros_like(images)
        for rank, part in enumerate(parts):  # strings are padded, by 0, to the longest of a device's own
            assembled[rank::2, : part.shape[1]] = part
        assert torch.equal(assembled, images)

    (first,), (second,) = (list(Path(at).rglob("last.ckpt")) for at in ("one", "two"))
    weights = [torch.load(path, weights_only=True)["state_dict"] for path in (first, second)]
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-4)
    (metrics,) = Path("two").rglob("metrics.csv")
    assert f"{one['val/loss']:.3f}" in {f"{float(cell):.3f}" for cell in cells(metrics)}


def cells(path: Path) -> list[str]:
    header, *lines = path.read_text().splitlines()
    column = header.split(",").index("val/loss")
    return [line.split(",")[column] for line in lines if line.split(",")[column]]
