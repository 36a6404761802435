"""The families whose training is timed: what the recipe is given, the step by hand beside it, and the peers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch.nn.functional as F

from benchmarks import steps
from benchmarks.loops import Setting, Step
from benchmarks.peers_images import PYTHAE
from benchmarks.peers_others import DARTS, TRANSFORMERS
from benchmarks.peers_supervised import supervised_peers

ROWS, COLUMNS = 200_000, 30


@dataclass(frozen=True)
class Family:
    """A row of the table.

    Attributes:
        title: What it is called there.
        config: Packaged config of the recipe.
        step: Builds the step by hand.
        prepare: Makes of a module and a batch what that step takes.
        steps: Training steps of an epoch, at most.
        flags: Further flags of the recipe.
        peers: What else trains the network, by name.
    """

    title: str
    config: str
    step: Callable[[Setting], Step]
    prepare: Callable[[Any, Any], Any] = steps.split
    steps: int = 60
    flags: tuple[str, ...] = ()
    peers: Mapping[str, Callable[[Setting], float]] = field(default_factory=dict)

    def flags_in(self, folder: Path) -> list[str]:
        """The flags, with the file of a made-up table where they ask for one."""
        if "TABLE" in self.flags:
            made_up_table(folder / "table.csv")
        return [str(folder / "table.csv") if flag == "TABLE" else flag for flag in self.flags]


def made_up_table(path: Path) -> None:
    """Writes numbers, and a class that depends on them."""
    draws = np.random.default_rng(0)
    table = pd.DataFrame(draws.normal(size=(ROWS, COLUMNS)).round(3)).add_prefix("x")
    table["y"] = np.where(table["x0"] + table["x1"] * table["x2"] > 0, "yes", "no")
    table.to_csv(path, index=False)


classes, numbers = steps.supervised(F.cross_entropy), steps.supervised(F.mse_loss)
of_classes, of_numbers = supervised_peers(F.cross_entropy), supervised_peers(F.mse_loss)
LIKE_DARTS = (
    "--model.cell lstm --model.hidden_size 64 --model.channels mixed --model.instance_norm none --model.patch_length 1 "
    "--model.dropout 0 --data.history 96 --data.horizon 24"
)
FAMILIES = {
    "mlp_digits": Family("MLP, digits", "mlp", classes, peers=of_classes),
    "mlp_table": Family(
        "MLP, table of 200,000 x 30", "mlp", classes, flags=("--data.csv", "TABLE", "--data.target", "y"),
        steps=200, peers=of_classes,
    ),
    "mlp_mnist": Family("MLP, MNIST", "mlp_mnist", classes, peers=of_classes),
    "cnn_mnist": Family("CNN, MNIST", "cnn_mnist", classes, steps.standardized, 25, peers=of_classes),
    "vae_mnist": Family("VAE, MNIST", "vae_mnist", steps.variational, steps.images_alone, peers=PYTHAE),
    "autoencoder_mnist": Family(
        "Autoencoder, MNIST", "autoencoder_mnist", steps.denoising, steps.images_alone, peers=PYTHAE
    ),
    "rnn_mnist": Family("LSTM, MNIST rows", "rnn_mnist", classes, steps=40, peers=of_classes),
    "forecaster_etth1": Family("Forecaster, ETTh1", "forecaster_etth1", numbers, steps=10, peers=of_numbers),
    "forecaster_lstm": Family(
        "Forecaster, ETTh1, an LSTM as darts'", "forecaster_etth1", numbers, steps=40,
        flags=tuple(LIKE_DARTS.split()),
        peers={**of_numbers, **DARTS},
    ),
    "tagger_jsb": Family("Tagger, JSB chorales", "tagger_jsb", steps.supervised(steps.label_likelihood), steps=28),
    "seq2seq_dates": Family(
        "Seq2seq, dates", "seq2seq_dates", steps.supervised(steps.characters), steps.with_target, 25
    ),
    "bert": Family("BERT, tiny encoder", "bert", classes, steps=40, peers=TRANSFORMERS),
    "gnn_graphs": Family("GIN, graphs of digits", "gnn_graphs", classes, steps=20),
    "wgan_gp": Family("WGAN-GP, digits", "wgan_gp", steps.adversarial, steps.centred, 15),
    "ddpm": Family("DDPM, digits", "ddpm", steps.diffusion, steps.centred, 9),
}  # fmt: skip
