"""Points on a ring drawn by a generator that learns against a critic: two optimisers, batches that are dicts.

python -m toys.toy_gan
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnzoo.data.base import GlobalBatchDataModule
from nnzoo.data.facts import fact
from nnzoo.errors import run_main
from nnzoo.metrics.means import StageMeans
from nnzoo.modules.base import ZooModule
from nnzoo.nets.layers import mlp
from nnzoo.run.recipe import run_recipe
from nnzoo.seeds import mix_seed


class Ring:
    """Points (B, 2), and noise for both steps of a batch (2, B, L)."""

    def __init__(self, count, noise_dim, seed):
        generator = torch.Generator().manual_seed(seed)
        angles = 2 * torch.pi * torch.rand(count, generator=generator)
        self.points, self.noise_dim = torch.stack([angles.cos(), angles.sin()], dim=1), noise_dim

    def __len__(self):
        return len(self.points)

    def __getitems__(self, batch):
        generator = torch.Generator().manual_seed(batch.seed)
        noise = torch.randn(2, batch.size, self.noise_dim, generator=generator)
        return {"points": self.points[batch.samples], "noise": noise[:, batch.rows]}


class ToyRing(GlobalBatchDataModule):
    """Points on a ring.

    Args:
        num_samples: Points to train on.
        noise_dim: Length of the noise, L.
        shared: What the base class takes.
    """

    def __init__(self, *, num_samples: int = 160, noise_dim: int = 3, **shared: Any) -> None:
        super().__init__(**shared)

    @fact
    def noise_dim(self) -> int:
        """Length of the noise."""
        return self.hparams["noise_dim"]

    def setup(self, stage: str | None = None) -> None:
        """Draws the points."""
        for number, (part, count) in enumerate({"train": self.hparams["num_samples"], "val": 40, "test": 40}.items()):
            self.parts.setdefault(part, Ring(count, self.noise_dim, mix_seed(number)))

    def select(self, batch: Any, rows: Any) -> Any:
        """Some of the points, with their noise."""
        return {"points": batch["points"][rows], "noise": batch["noise"][:, rows]}

    def size_of(self, batch: Any) -> int:
        """Number of points."""
        return len(batch["points"])


class ToyGAN(ZooModule):
    """A generator against a critic (arXiv:1406.2661, non-saturating).

    Args:
        noise_dim: Length of the noise (the command line takes it from the data).
        hidden: Width of both networks.
        critic_lr: Learning rate of the critic.
        shared: What the base class takes.
    """

    def __init__(self, *, noise_dim: int = 3, hidden: int = 16, critic_lr: float = 2e-3, **shared: Any) -> None:
        super().__init__(**shared)
        self.automatic_optimization = False
        self.generator = mlp([noise_dim, hidden, 2], "tanh")
        self.critic = mlp([2, hidden, 1], "tanh")
        losses = ["critic_loss", "generator_loss"]
        self.means = StageMeans({"train": losses, "val": [*losses, "loss"], "test": [*losses, "loss"]})

    def configure_optimizers(self) -> Any:
        """One for the critic, one for the generator."""
        critic = self.build_optimizer(self.critic.parameters(), lr=self.hparams["critic_lr"])
        return [critic, self.build_optimizer(self.generator.parameters())]

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Loss of the critic and of the generator for each point (B,), and how far from the ring the drawn ones are."""
        first, second = (self.generator(noise) for noise in batch["noise"])
        real, drawn = self.critic(batch["points"]), self.critic(first.detach())
        return {
            "critic_loss": (F.softplus(-real) + F.softplus(drawn))[:, 0],
            "generator_loss": F.softplus(-self.critic(second))[:, 0],
            "loss": (second.norm(dim=1) - 1).square(),
        }

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """A step of the critic, then one of the generator."""
        for name, optimizer in zip(("critic_loss", "generator_loss"), self.optimizers(), strict=True):
            self.toggle_optimizer(optimizer)
            losses = self.losses(batch)[name]
            optimizer.zero_grad()
            self.manual_backward(losses.mean())
            optimizer.step()
            self.untoggle_optimizer(optimizer)
            self.means.update("train", {name: losses})
        schedulers = self.lr_schedulers() or []
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Measures all losses."""
        self.means.update("val", self.losses(batch))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Measures all losses."""
        self.means.update("test", self.losses(batch))

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Points drawn from the batch's noise."""
        return self.generator(batch["noise"][0])

    def contract_loss(self, batch: Any) -> Tensor:
        """Both losses, each with what it trains."""
        losses = self.losses(batch)
        return (losses["critic_loss"] + losses["generator_loss"]).mean()


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(ToyGAN, ToyRing, recipe=__file__, args=args)


if __name__ == "__main__":
    run_main(main)
