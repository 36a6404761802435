"""Training speed of the recipe ``gnn_cora`` on a CPU beside the loop of PyG's own example.

    python -m benchmarks.graph_speed

The example has the same two layers on the dense matrix of words with ``F.dropout``, ``GCNConv`` with ``cached=True``,
and Adam. An epoch is a step. Two ratios are printed: of training, where what comes after a step, validation and
checkpoints, is left out of both; and of whole epochs, where the recipe validates, measures, logs and saves two
checkpoints, and the loop does the example's ``test()``. Graphs of digits are timed by ``python -m benchmarks``.

Recipe and loop take turns, round after round, so that a change in the machine's load meets both. Times are those of the
processor (set ``OMP_NUM_THREADS=1``), so that other programs do not count; what counts is the median of the rounds'
ratios. The first epoch of each warms up. Further flags go to the recipe.

Measured on a CPU, three rounds: on Cora the recipe trains 7.95 [7.89, 7.96] times as many epochs per second as the
loop, and does 2.7 [2.7, 2.7] times as many whole epochs. Of the loop's 82 ms for a step dropout on the dense matrix
takes 60. Of the recipe's 10 ms 1.5 are dropout and 5 both convolutions with their gradients, 0.7 of them the weights of
edges, which the loop keeps; the rest are metrics, checks, the optimiser and what Lightning does for a step. After it
come validation with its metrics, logging, and two checkpoints.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import GCNConv

from benchmarks.measuring import quiet, shown, spread
from nnzoo import GraphDataModule, NodeClassifier, NodeRegressor
from nnzoo.nets.sparse_features import dense
from nnzoo.run.cli import ZooCLI


class Speed(NamedTuple):
    """Epochs per second: of training alone, and with all that is done after it."""

    training: float
    whole: float


class Clock(L.Callback):
    """Times all epochs but the first."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.training: list[float] = []

    def on_train_epoch_start(self, *args: Any) -> None:  # noqa: D102
        self.starts.append(time.process_time())

    def on_train_batch_end(self, *args: Any) -> None:  # noqa: D102
        self.end = time.process_time()

    def on_train_epoch_end(self, *args: Any) -> None:  # noqa: D102
        self.training.append(self.end - self.starts[-1])

    @property
    def speed(self) -> Speed:
        """Of the epochs that another one follows, so that their checkpoints are counted."""
        counted = len(self.starts) - 2
        return Speed(counted / sum(self.training[1:-1]), counted / (self.starts[-1] - self.starts[1]))


def of_recipe(epochs: int, flags: list[str]) -> tuple[Speed, ZooCLI]:
    """Speed of the recipe as a user gets it, and what it was built of."""
    models = {"classification": NodeClassifier, "regression": NodeRegressor}
    with tempfile.TemporaryDirectory() as folder, quiet():
        args = f"fit --config gnn_cora --trainer.default_root_dir {folder} --trainer.accelerator cpu --baselines null"
        args += f" --trainer.max_epochs {epochs + 1} --figures.draw false --trainer.callbacks+={__name__}.Clock"
        cli = ZooCLI(models, GraphDataModule, recipe="gnn", args=[*args.split(), *flags])
    clock = next(callback for callback in cli.trainer.callbacks if isinstance(callback, Clock))
    return clock.speed, cli


def by_hand(epoch: Callable[[], None], after: Callable[[], Any], epochs: int) -> Speed:
    """Speed of a loop: what it does in an epoch of training, and after it."""
    training = whole = 0.0
    for number in range(epochs):
        start = time.process_time()
        epoch()
        trained = time.process_time()
        after()
        training += (trained - start) * (number > 0)
        whole += (time.process_time() - start) * (number > 0)
    return Speed((epochs - 1) / training, (epochs - 1) / whole)


class GCN(nn.Module):
    """The network of PyG's example."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.conv1 = GCNConv(features, 16, cached=True)
        self.conv2 = GCNConv(16, classes, cached=True)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:  # noqa: D102
        x = F.dropout(x, p=0.5, training=self.training)
        x = self.conv1(x, edge_index).relu()
        x = F.dropout(x, p=0.5, training=self.training)
        return self.conv2(x, edge_index)


def cora_by_hand(cli: ZooCLI, epochs: int) -> Speed:
    """The loop of PyG's example on the same nodes."""
    rows = {part: cli.datamodule.parts[part].nodes for part in ("train", "val", "test")}
    graph = cli.datamodule.parts["train"].graph
    x, edge_index, y = dense(graph.x), graph.edge_index, graph.y
    model = GCN(x.shape[1], cli.datamodule.num_classes)
    penalties = [{"params": model.conv1.parameters(), "weight_decay": 5e-4}, {"params": model.conv2.parameters()}]
    optimizer = torch.optim.Adam(penalties, lr=0.01)

    def train() -> None:
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, edge_index)[rows["train"]], y[rows["train"]])
        loss.backward()
        optimizer.step()
        loss.item()

    @torch.no_grad()
    def test() -> list[float]:
        model.eval()
        right = model(x, edge_index).argmax(dim=-1) == y
        return [right[chosen].float().mean().item() for chosen in rows.values()]

    return by_hand(train, test, epochs)


def main() -> None:
    """Prints all speeds and the medians of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="rounds in which both take turns")
    parser.add_argument("--epochs", type=int, default=40, help="epochs of a round")
    args, flags = parser.parse_known_args()
    ratios: dict[str, list[float]] = {name: [] for name in Speed._fields}
    for _ in range(args.rounds):
        own, cli = of_recipe(args.epochs, flags)
        hand = cora_by_hand(cli, args.epochs)
        for name, found in ratios.items():
            found.append(getattr(own, name) / getattr(hand, name))
            speeds = f"recipe {getattr(own, name):.2f}, by hand {getattr(hand, name):.2f} epochs/s"
            print(f"{name}: {speeds}", flush=True)
    for name, found in ratios.items():
        print(f"{name}, recipe / by hand: {shown(spread(found, 3), 3)} of {len(found)} rounds")


if __name__ == "__main__":
    main()
