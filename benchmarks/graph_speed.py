"""Training speed of the graph recipes on a CPU beside the loops one writes by hand.

    python benchmarks/graph_speed.py cora
    python benchmarks/graph_speed.py graphs

``cora``: the recipe ``gnn_cora`` beside the loop of PyG's own example: the same two layers on the dense matrix of words
with ``F.dropout``, ``GCNConv`` with ``cached=True``, and Adam. An epoch is a step. Two ratios are printed: of training,
where what comes after a step, validation and checkpoints, is left out of both; and of whole epochs, where the recipe
validates, measures, logs and saves two checkpoints, and the loop does the example's ``test()``.

``graphs``: the recipe ``gnn_graphs`` beside a bare loop over batches that are made before the clock starts, with the
same network, optimiser and schedule. Validation and checkpoints are left out of both.

Recipe and loop take turns, round after round, so that a change in the machine's load meets both. Times are those of the
processor (set ``OMP_NUM_THREADS=1``), so that other programs do not count; what counts is the median of the rounds'
ratios. The first epoch of each warms up. Further flags go to the recipe.

Measured on a CPU, three rounds: on Cora the recipe trains 7.95 [7.89, 7.96] times as many epochs per second as the
loop, and does 2.7 [2.7, 2.7] times as many whole epochs. Of the loop's 82 ms for a step dropout on the dense matrix
takes 60. Of the recipe's 10 ms 1.5 are dropout and 5 both convolutions with their gradients, 0.7 of them the weights of
edges, which the loop keeps; the rest are metrics, checks, the optimiser and what Lightning does for a step. After it
come validation with its metrics, logging, and two checkpoints.
On graphs of digits the recipe does 0.95 [0.89, 1.00] of the bare loop's epochs.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch_geometric.nn import GCNConv
from vae_throughput import quiet

from nnzoo import GraphClassifier, GraphDataModule, GraphRegressor, GraphSetDataModule, NodeClassifier, NodeRegressor
from nnzoo.modules.optimizers import schedule_factor
from nnzoo.nets.sparse_features import dense
from nnzoo.run.cli import ZooCLI

RECIPES: dict[str, tuple[str, str, Any, type[L.LightningDataModule]]] = {
    "cora": ("gnn", "gnn_cora", {"classification": NodeClassifier, "regression": NodeRegressor}, GraphDataModule),
    "graphs": ("gnn_graphs", "gnn_graphs", {"classification": GraphClassifier, "regression": GraphRegressor},
               GraphSetDataModule),
}  # fmt: skip


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


def of_recipe(kind: str, epochs: int, flags: list[str]) -> tuple[Speed, ZooCLI]:
    """Speed of the recipe as a user gets it, and what it was built of."""
    recipe, config, models, data = RECIPES[kind]
    with tempfile.TemporaryDirectory() as folder, quiet():
        args = f"fit --config {config} --trainer.default_root_dir {folder} --trainer.accelerator cpu --baselines null"
        args += f" --trainer.max_epochs {epochs + 1} --figures.draw false --trainer.callbacks+={__name__}.Clock"
        cli = ZooCLI(models, data, recipe=recipe, args=[*args.split(), *flags])
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


def graphs_by_hand(cli: ZooCLI, epochs: int) -> Speed:
    """A bare loop over batches that are there already."""
    data, hparams = cli.datamodule, cli.model.hparams
    model = GraphClassifier(**hparams)  # of which only the network is taken
    batches = [model.split(batch) for batch in data.train_dataloader()]
    optimizer = torch.optim.AdamW(model.net.parameters(), lr=hparams["lr"], weight_decay=0.0, fused=True)
    total, schedule, warmup = epochs * len(batches), hparams["lr_schedule"], hparams["lr_warmup"]
    rate = LambdaLR(optimizer, lambda step: schedule_factor(step, total, schedule, warmup))

    def train() -> None:
        for inputs, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(model.net(*inputs), labels).backward()
            optimizer.step()
            rate.step()

    return by_hand(train, lambda: None, epochs)


LOOPS = {"cora": cora_by_hand, "graphs": graphs_by_hand}


def main() -> None:
    """Prints all speeds and the medians of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=LOOPS)
    parser.add_argument("--rounds", type=int, default=7, help="rounds in which both take turns")
    parser.add_argument("--epochs", type=int, help="epochs of a round: 40 of cora, 5 of graphs unless given")
    args, flags = parser.parse_known_args()
    epochs = args.epochs or {"cora": 40, "graphs": 5}[args.kind]
    names = Speed._fields if args.kind == "cora" else ("training",)
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(args.rounds):
        own, cli = of_recipe(args.kind, epochs, flags)
        hand = LOOPS[args.kind](cli, epochs)
        for name in names:
            ratios[name].append(getattr(own, name) / getattr(hand, name))
            speeds = f"recipe {getattr(own, name):.2f}, by hand {getattr(hand, name):.2f} epochs/s"
            print(f"{name}: {speeds}", flush=True)
    for name, found in ratios.items():
        spread = f"[{min(found):.3f}, {max(found):.3f}] of {len(found)} rounds"
        print(f"{name}, recipe / by hand: {median(found):.3f} {spread}")


if __name__ == "__main__":
    main()
