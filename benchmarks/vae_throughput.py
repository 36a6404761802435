"""Training throughput of the recipe ``vae_mnist`` on the CPU, against a bare loop, torchvision's pipeline and pythae.

    python benchmarks/vae_throughput.py --root ~/data

All contenders train the same network with the same optimiser on the same number of images. Each gets a fresh model,
one epoch of ``--steps`` steps to warm up, and a second one on the clock: from the start of the epoch to the end of its
last step, data fetching included; validation, checkpoints and set-up are outside for all. The contenders take turns,
round after round, so that a change in the machine's load meets all of them, and what counts is the median of the
rounds' ratios to the bare loop. Progress bars are drawn, but into the null device.
"""

import argparse
import contextlib
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

import lightning as L
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

from nnzoo.arguments import find_config
from nnzoo.cli import ZooCLI
from nnzoo.data.base import data_root
from nnzoo.data.image import ImageDataModule
from nnzoo.modules.vae import VAE

RECIPE = yaml.safe_load(Path(find_config("vae_mnist")).read_text())
BATCH_SIZE = RECIPE["data"]["batch_size"]
EPOCHS = 2  # the first warms up
LOSS_TOLERANCE = 0.03


class Measurement(NamedTuple):
    """One timed epoch: its duration, its mean loss and the size of the network."""

    seconds: float
    loss: float
    parameters: int


class Clock(L.Callback):
    """Times the last epoch of a fit; of its last step, only what other callbacks do at the end is left out."""

    def on_train_epoch_start(self, *args: Any) -> None:
        """Starts."""
        self.start = time.perf_counter()

    def on_train_batch_end(self, *args: Any) -> None:
        """Stops, unless another step follows."""
        self.seconds = time.perf_counter() - self.start

    def on_train_epoch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Ends the fit: a smaller ``max_epochs`` would make the learning rate fall at once."""
        trainer.should_stop = trainer.current_epoch == EPOCHS - 1


class ClockedCLI(ZooCLI):
    """The command line of a recipe, with a clock."""

    def before_fit(self) -> None:
        """Adds the clock."""
        super().before_fit()
        self.clock = Clock()
        self.trainer.callbacks.insert(0, self.clock)


def nnzoo(root: Path, folder: Path, steps: int, seed: int) -> Measurement:
    """The recipe as a user gets it, with all its callbacks, its logger and its learning-rate schedule."""
    args = f"fit --config vae_mnist --data.root {root} --seed_everything {seed} --trainer.default_root_dir {folder} "
    args += f"--trainer.accelerator cpu --trainer.limit_train_batches {steps} --trainer.limit_val_batches 1"
    cli = ClockedCLI(VAE, ImageDataModule, recipe="vae", args=args.split())
    return Measurement(cli.clock.seconds, cli.metrics["train/loss"], count_parameters(cli.model))


def train(batches: Callable[[], Iterable[Tensor]], steps: int, seed: int) -> Measurement:
    """The loop one writes by hand, over the batches of binary images that each call of ``batches`` starts anew."""
    torch.manual_seed(seed)
    vae = VAE(**RECIPE["model"])
    encoder, decoder = vae.encoder, vae.decoder
    optimizer = torch.optim.AdamW(vae.parameters(), lr=RECIPE["model"]["lr"], weight_decay=0.0, fused=True)
    for _ in range(EPOCHS):
        start = time.perf_counter()
        total = torch.zeros(())
        for images in islice(batches(), steps):
            mean, log_var = encoder(images).chunk(2, dim=1)
            logits = decoder(mean + (0.5 * log_var).exp() * torch.randn_like(mean))
            reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
            kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum()
            loss = (reconstruction + kl) / len(images)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        seconds = time.perf_counter() - start
    return Measurement(seconds, total.item() / steps, count_parameters(vae))


def in_memory(images: Tensor) -> Iterator[Tensor]:
    """Shuffled batches of the uint8 images (N, 1, H, W), each pixel drawn as 0 or 1."""
    for rows in torch.randperm(len(images)).split(BATCH_SIZE):
        grey = images[rows].float() / 255
        yield (torch.rand_like(grey) < grey).float()


def torchvision(root: Path, num_workers: int, steps: int, seed: int) -> Measurement:
    """The bare loop over torchvision's usual pipeline: one PIL image after the other."""
    dataset = MNIST(root, transform=transforms.Compose([transforms.ToTensor(), torch.bernoulli]))
    loader = DataLoader(dataset, BATCH_SIZE, True, num_workers=num_workers, persistent_workers=num_workers > 0)
    return train(lambda: (images for images, _ in loader), steps, seed)


def pythae(images: Tensor, folder: Path, steps: int, seed: int) -> Measurement:
    """The trainer of pythae; the images are drawn before the clock starts, which spares it that work."""
    from pythae import data, models, trainers
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    torch.manual_seed(seed)
    vae = VAE(**RECIPE["model"])

    class Encoder(BaseEncoder):
        def forward(self, x: Tensor) -> ModelOutput:
            mean, log_var = self.net(x).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_var)

    class Decoder(BaseDecoder):
        def forward(self, z: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=torch.sigmoid(self.net(z)))

    class Trainer(trainers.BaseTrainer):
        def train_step(self, epoch: int) -> float:  # an epoch, in spite of its name
            start = time.perf_counter()
            self.loss = super().train_step(epoch)
            self.seconds = time.perf_counter() - start
            return self.loss

    encoder, decoder = Encoder(), Decoder()
    encoder.net, decoder.net = vae.encoder, vae.decoder
    chosen = images[torch.randperm(len(images))[: steps * BATCH_SIZE]]
    dataset = data.BaseDataset(torch.bernoulli(chosen.float() / 255), torch.zeros(len(chosen)))
    latent_dim = RECIPE["model"]["latent_dim"]
    config = models.VAEConfig(input_dim=tuple(images.shape[1:]), latent_dim=latent_dim, reconstruction_loss="bce")
    training = trainers.BaseTrainerConfig(
        output_dir=str(folder),
        per_device_train_batch_size=BATCH_SIZE,
        num_epochs=EPOCHS,
        optimizer_cls="AdamW",
        optimizer_params={"weight_decay": 0.0, "fused": True},
        learning_rate=RECIPE["model"]["lr"],
        no_cuda=True,
    )
    model = models.VAE(config, encoder, decoder)
    trainer = Trainer(model, dataset, training_config=training)
    trainer.train()
    return Measurement(trainer.seconds, trainer.loss, count_parameters(model))


def count_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def generate_mnist(root: Path) -> None:
    """Writes random images and labels in the sizes, the format and the place of MNIST's files."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in {"train": 60_000, "t10k": 10_000}.items():
        pixels = torch.rand(count, 28, 28)
        images = (pixels * 256 * (torch.rand(count, 28, 28) < 0.2)).byte()  # mostly black, as MNIST is
        header = struct.pack(">4i", 0x803, count, 28, 28)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + images.numpy().tobytes())
        labels = torch.randint(10, (count,), dtype=torch.uint8)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, count) + labels.numpy().tobytes())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Sends what the contenders print and log to the null device."""
    logging.disable(logging.INFO)
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
        yield
    logging.disable(logging.NOTSET)


def check_same_training(rounds: list[dict[str, Measurement]]) -> None:
    """Exits unless all contenders have as many parameters as the bare loop and, in the median, nearly its loss."""
    for name, first in rounds[0].items():
        if first.parameters != rounds[0]["bare loop"].parameters:
            sys.exit(f"{name} has {first.parameters} parameters, the bare loop {rounds[0]['bare loop'].parameters}.")
        ratio = median(r[name].loss / r["bare loop"].loss for r in rounds)
        if abs(ratio - 1) > LOSS_TOLERANCE:
            sys.exit(f"{name} ends at {ratio:.3f} times the bare loop's loss: it does not train the same thing.")


def table(rounds: list[dict[str, Measurement]], steps: int) -> str:
    """One row per contender: median speed, median ratio to the bare loop with its range, and median loss."""
    lines = [f"{'contender':24}{'images/s':>10}  {'ratio to bare [min, max]':26}{'loss':>8}"]
    for name in rounds[0]:
        speed = median(steps * BATCH_SIZE / r[name].seconds for r in rounds)
        ratios = [r["bare loop"].seconds / r[name].seconds for r in rounds]
        ratio = f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        lines.append(f"{name:24}{speed:10,.0f}  {ratio:26}{median(r[name].loss for r in rounds):8.1f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=data_root, default=data_root(None), help="folder that holds MNIST/raw")
    parser.add_argument("--steps", type=int, default=150, help="steps of a timed epoch (at most 445)")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, root, steps = Path(name), args.root, args.steps
        try:
            images = MNIST(root).data[:, None]
        except RuntimeError:
            print(f"There is no MNIST in {root}: using random images of the same sizes.")
            root = folder
            generate_mnist(root)
            images = MNIST(root).data[:, None]
        contenders: dict[str, Callable[[int], Measurement]] = {
            "bare loop": lambda seed: train(lambda: in_memory(images), steps, seed),
            "nnzoo": lambda seed: nnzoo(root, folder, steps, seed),
            "torchvision": lambda seed: torchvision(root, 0, steps, seed),
            "torchvision, 2 workers": lambda seed: torchvision(root, 2, steps, seed),
            "pythae": lambda seed: pythae(images, folder, steps, seed),
        }
        try:
            with quiet():
                import pythae as _  # noqa: F401
        except ImportError as error:
            print(f"Without pythae ({error}).")
            del contenders["pythae"]
        rounds = []
        for seed in range(args.rounds):
            with quiet():
                rounds.append({name: contender(seed) for name, contender in contenders.items()})
            print(f"round {seed + 1} of {args.rounds}:", *(f"{m.seconds:.2f} s" for m in rounds[-1].values()))
    print(f"\n{rounds[0]['bare loop'].parameters:,} parameters, batches of {BATCH_SIZE}, {steps} steps,")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, lightning {L.__version__}\n")
    print(table(rounds, steps))
    check_same_training(rounds)


if __name__ == "__main__":
    main()
