"""Training throughput of the recipe ``vae_mnist`` on a CPU: a bare loop, Lightning, torchvision's pipeline, pythae.

    python benchmarks/vae_throughput.py --root ~/data

All train the same network with the same optimiser. Each gets a fresh model, one epoch of ``--steps`` steps to warm up
and a second one on the clock: from the start of the epoch to the end of its last step, data fetching included;
set-up, validation and checkpoints are left out for all. They take turns, round after round, so that a change in the
machine's load meets all of them; what counts is the median of the rounds' ratios to the bare loop. Progress bars are
drawn, but into the null device.
"""

import argparse
import contextlib
import importlib
import logging
import os
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from unittest import mock

import lightning as L
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

from nnzoo.data.base import data_root
from nnzoo.data.images.module import ImageDataModule
from nnzoo.modules.vae import VAE
from nnzoo.run.cli import ZooCLI
from nnzoo.run.configs import find_config

RECIPE = yaml.safe_load(Path(find_config("vae_mnist")).read_text())
BATCH_SIZE, LR = RECIPE["data"]["batch_size"], RECIPE["model"]["lr"]
EPOCHS = 2  # the first warms up
LOSS_TOLERANCE = 0.03
# Importing Lightning sets a variable that makes every optimiser step look for a GPU: only nnzoo is to pay for that.
NVML = {name: os.environ.pop(name) for name in ["PYTORCH_NVML_BASED_CUDA_CHECK"] if name in os.environ}


class Epoch(NamedTuple):
    """A timed epoch: its duration, its mean loss, and the size of the network."""

    seconds: float
    loss: float
    parameters: int


class Clock(L.Callback):
    """Times the last epoch of a fit; what other callbacks do after its last step is the only thing left out."""

    def on_train_epoch_start(self, *args: Any) -> None:  # noqa: D102
        self.start = time.perf_counter()

    def on_train_batch_end(self, *args: Any) -> None:  # noqa: D102
        self.seconds = time.perf_counter() - self.start

    def on_train_epoch_end(self, trainer: L.Trainer, *args: Any) -> None:  # noqa: D102
        # A smaller max_epochs would make the learning rate fall at once.
        trainer.should_stop = trainer.current_epoch == EPOCHS - 1


def nnzoo(root: Path, folder: Path, steps: int, seed: int) -> Epoch:
    """The recipe as a user gets it, with all its callbacks, its logger and its learning-rate schedule."""
    args = f"fit --config vae_mnist --data.root {root} --seed_everything {seed} --trainer.default_root_dir {folder} "
    args += f"--trainer.accelerator cpu --trainer.limit_train_batches {steps} --trainer.limit_val_batches 1 "
    with mock.patch.dict(os.environ, NVML):
        cli = ZooCLI(VAE, ImageDataModule, recipe="vae", args=f"{args} --trainer.callbacks {__name__}.Clock".split())
    clock = next(callback for callback in cli.trainer.callbacks if isinstance(callback, Clock))
    return Epoch(clock.seconds, cli.metrics["train/loss"], count_parameters(cli.model))


class Lightning(L.LightningModule):
    """The bare loop's loss and optimiser; with nothing attached, Lightning's own share of the time."""

    def __init__(self) -> None:
        super().__init__()
        vae = VAE(**RECIPE["model"])
        self.encoder, self.decoder, self.total = vae.encoder, vae.decoder, torch.zeros(())

    def on_train_epoch_start(self) -> None:  # noqa: D102
        self.total = torch.zeros(())

    def training_step(self, images: Tensor) -> Tensor:  # noqa: D102
        loss = negative_elbo(self.encoder, self.decoder, images)
        self.total += loss.detach()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:  # noqa: D102
        return torch.optim.AdamW(self.parameters(), lr=LR, weight_decay=0.0, fused=True)


class Batches:
    """What each call of ``batches`` starts anew, for Lightning."""

    def __init__(self, batches: Callable[[], Iterable[Tensor]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches())


def lightning(batches: Callable[[], Iterable[Tensor]], folder: Path, steps: int, seed: int) -> Epoch:
    """Lightning's Trainer over the bare loop's batches, without a bar, a logger, checkpoints or metrics."""
    torch.manual_seed(seed)
    model, clock = Lightning(), Clock()
    off = {"enable_progress_bar": False, "enable_checkpointing": False, "enable_model_summary": False, "logger": False}
    settings: dict[str, Any] = {"max_epochs": EPOCHS + 1, "limit_train_batches": steps, "default_root_dir": folder}
    with mock.patch.dict(os.environ, NVML):
        L.Trainer(accelerator="cpu", callbacks=[clock], **settings, **off).fit(model, Batches(batches))
    return Epoch(clock.seconds, model.total.item() / steps, count_parameters(model))


def negative_elbo(encoder: nn.Module, decoder: nn.Module, images: Tensor) -> Tensor:
    mean, log_var = encoder(images).chunk(2, dim=1)
    logits = decoder(mean + (0.5 * log_var).exp() * torch.randn_like(mean))
    reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
    kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum()
    return (reconstruction + kl) / len(images)


def train(batches: Callable[[], Iterable[Tensor]], steps: int, seed: int) -> Epoch:
    """The loop one writes by hand, over the batches of binary images that each call of ``batches`` starts anew."""
    torch.manual_seed(seed)
    vae = VAE(**RECIPE["model"])
    optimizer = torch.optim.AdamW(vae.parameters(), lr=LR, weight_decay=0.0, fused=True)
    for _ in range(EPOCHS):
        start, total = time.perf_counter(), torch.zeros(())
        for images in islice(batches(), steps):
            loss = negative_elbo(vae.encoder, vae.decoder, images)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        seconds = time.perf_counter() - start
    return Epoch(seconds, total.item() / steps, count_parameters(vae))


def draw(grey: Tensor) -> Tensor:
    """Each pixel as 0 or 1, with its grey value as probability; three times as fast as ``torch.bernoulli``."""
    return (torch.rand_like(grey) < grey).float()


def in_memory(images: Tensor) -> Iterator[Tensor]:
    """Shuffled batches of uint8 images (N, 1, H, W), drawn as 0 and 1."""
    for rows in torch.randperm(len(images)).split(BATCH_SIZE):
        yield draw(images[rows].float() / 255)


def torchvision(root: Path, num_workers: int, steps: int, seed: int) -> Epoch:
    """The bare loop over torchvision's usual pipeline, image by image."""
    dataset = MNIST(root, transform=transforms.Compose([transforms.ToTensor(), torch.bernoulli]))
    loader = DataLoader(dataset, BATCH_SIZE, True, num_workers=num_workers, persistent_workers=num_workers > 0)
    return train(lambda: (images for images, _ in loader), steps, seed)


def pythae(images: Tensor, folder: Path, steps: int, seed: int) -> Epoch:
    """The trainer of pythae, which fetches image by image; they are drawn as 0 and 1 a batch at a time, its fastest."""
    from pythae import data, models, trainers
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def forward(self, x: Tensor) -> ModelOutput:
            mean, log_var = self.net(x).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_var)

    class Decoder(BaseDecoder):
        def forward(self, z: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=torch.sigmoid(self.net(z)))

    class Model(models.VAE):
        def forward(self, inputs: dict[str, Tensor], **kwargs: Any) -> ModelOutput:
            return super().forward({"data": draw(inputs["data"])}, **kwargs)

    class Trainer(trainers.BaseTrainer):
        def train_step(self, epoch: int) -> float:  # an epoch, in spite of its name
            start = time.perf_counter()
            self.loss = super().train_step(epoch)
            self.seconds = time.perf_counter() - start
            return self.loss

    torch.manual_seed(seed)
    vae, encoder, decoder = VAE(**RECIPE["model"]), Encoder(), Decoder()
    encoder.net, decoder.net = vae.encoder, vae.decoder
    shape, latent_dim = tuple(images.shape[1:]), RECIPE["model"]["latent_dim"]
    config = models.VAEConfig(input_dim=shape, latent_dim=latent_dim, reconstruction_loss="bce")
    model = Model(config, encoder, decoder)
    chosen = images[torch.randperm(len(images))[: steps * BATCH_SIZE]]
    dataset = data.BaseDataset(chosen.float() / 255, torch.zeros(len(chosen)))
    optimizer = {"optimizer_cls": "AdamW", "optimizer_params": {"weight_decay": 0.0, "fused": True}}
    settings = trainers.BaseTrainerConfig(
        str(folder), BATCH_SIZE, num_epochs=EPOCHS, learning_rate=LR, no_cuda=True, **optimizer
    )
    trainer = Trainer(model, dataset, training_config=settings)
    trainer.train()
    return Epoch(trainer.seconds, trainer.loss, count_parameters(model))


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def generate_mnist(root: Path) -> None:
    """Writes random images in the sizes, the format and the place of MNIST's files."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in {"train": 60_000, "t10k": 10_000}.items():
        images = (torch.rand(count, 28, 28) * 256 * (torch.rand(count, 28, 28) < 0.2)).byte().numpy().tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, count, 28, 28) + images)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, count) + bytes(count))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Sends what the contenders print and log to the null device."""
    logging.disable(logging.INFO)
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
        yield
    logging.disable(logging.NOTSET)


def report(rounds: list[dict[str, Epoch]], steps: int) -> None:
    """Prints the table; exits with an error if a contender did not train what the bare loop trains."""
    bare = [results["bare loop"] for results in rounds]
    print(f"\n{bare[0].parameters:,} parameters, batches of {BATCH_SIZE}, {steps} steps, {len(rounds)} rounds;")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, lightning {L.__version__}\n")
    print(f"{'contender':24}{'images/s':>10}  {'ratio to bare [min, max]':26}{'loss':>8}")
    same = True
    for name in rounds[0]:
        epochs = [results[name] for results in rounds]
        ratios = [b.seconds / e.seconds for b, e in zip(bare, epochs, strict=True)]
        ratio = f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        speed, loss = median(steps * BATCH_SIZE / e.seconds for e in epochs), median(e.loss for e in epochs)
        print(f"{name:24}{speed:10,.0f}  {ratio:26}{loss:8.1f}")
        losses = median(e.loss / b.loss for b, e in zip(bare, epochs, strict=True))
        same &= epochs[0].parameters == bare[0].parameters and abs(losses - 1) < LOSS_TOLERANCE
    if not same:
        sys.exit(f"Not the same training, by loss or number of parameters: {rounds[0]}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=data_root, default=data_root(None), help="folder that holds MNIST/raw")
    parser.add_argument("--steps", type=int, default=150, choices=range(1, 446), metavar="1..445")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    steps = args.steps
    with tempfile.TemporaryDirectory() as name:
        root = folder = Path(name)
        if (args.root / "MNIST" / "raw").is_dir():
            root = args.root
        else:
            print(f"There is no MNIST in {args.root}: random images of the same sizes take its place.")
            generate_mnist(root)
        images = MNIST(root).data[:, None]
        contenders: dict[str, Callable[[int], Epoch]] = {
            "bare loop": lambda seed: train(lambda: in_memory(images), steps, seed),
            "Lightning alone": lambda seed: lightning(lambda: in_memory(images), folder, steps, seed),
            "nnzoo": lambda seed: nnzoo(root, folder, steps, seed),
            "torchvision": lambda seed: torchvision(root, 0, steps, seed),
            "torchvision, 2 workers": lambda seed: torchvision(root, 2, steps, seed),
        }
        try:
            importlib.import_module("pythae")
            contenders["pythae"] = lambda seed: pythae(images, folder, steps, seed)
        except ImportError as error:
            print(f"Without pythae: {error}.")
        rounds = []
        for seed in range(args.rounds):
            with quiet():
                rounds.append({name: contender(seed) for name, contender in contenders.items()})
            seconds = ", ".join(f"{name} {epoch.seconds:.2f} s" for name, epoch in rounds[-1].items())
            print(f"round {seed + 1}: {seconds}", flush=True)
    report(rounds, steps)


if __name__ == "__main__":
    main()
