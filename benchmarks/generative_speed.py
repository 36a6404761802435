"""Training speed of the recipes ``wgan_gp`` and ``ddpm`` on a CPU beside the loops one writes by hand.

    python benchmarks/generative_speed.py wgan_gp
    python benchmarks/generative_speed.py ddpm
    python benchmarks/generative_speed.py wgan_gp --config wgan_gp_mnist --steps 40 --data.root ~/data

Recipe and loop train the same networks on batches of the same size with the same optimisers, rates and averages of the
weights. What is timed are epochs of training after the first, data fetching included; validation and checkpoints are
left out. They take turns, round after round, so that a change in the machine's load meets both. Times are those of the
processor (set ``OMP_NUM_THREADS=1``), so that other programs do not count; what counts is the median of the rounds'
ratios. Further flags go to the recipe.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR, LinearLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from vae_throughput import quiet

from nnzoo import DDPM, WGANGP
from nnzoo.data.images.module import ImageDataModule
from nnzoo.modules.optimizers import schedule_factor
from nnzoo.nets.wgan_gp import gradient_norms
from nnzoo.run.cli import ZooCLI

MODULES = {"wgan_gp": WGANGP, "ddpm": DDPM}


class Clock(L.Callback):
    """Times the training batches of all epochs but the first."""

    seconds, batches = 0.0, 0

    def on_train_epoch_start(self, *args: Any) -> None:  # noqa: D102
        self.start = time.process_time()

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:  # noqa: D102
        self.end, self.batches = time.process_time(), self.batches + (trainer.current_epoch > 0)

    def on_train_epoch_end(self, trainer: L.Trainer, *args: Any) -> None:  # noqa: D102
        self.seconds += (self.end - self.start) * (trainer.current_epoch > 0)


def of_recipe(name: str, config: str, epochs: int, steps: int, flags: list[str]) -> tuple[float, ZooCLI]:
    """Batches per second of the recipe as a user gets it, and what it was built of."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        args = f"fit --config {config} --trainer.default_root_dir {folder} --trainer.accelerator cpu --baselines null"
        args += f" --trainer.max_epochs {epochs} --trainer.limit_train_batches {steps} --trainer.limit_val_batches 1"
        args += f" --figures.draw false --trainer.callbacks+={__name__}.Clock"
        cli = ZooCLI(MODULES[name], ImageDataModule, recipe=name, args=[*args.split(), *flags])
    clock = next(callback for callback in cli.trainer.callbacks if isinstance(callback, Clock))
    return clock.batches / clock.seconds, cli


def by_hand(step: Callable[[Tensor], None], images: Tensor, size: int, epochs: int, steps: int) -> float:
    """Batches per second of a loop over images (N, C, H, W) in [-1, 1]."""
    seconds = 0.0
    for epoch in range(epochs):
        start = time.process_time()
        for rows in torch.randperm(len(images)).split(size)[:steps]:
            step(images[rows])
        seconds += (time.process_time() - start) * (epoch > 0)
    return (epochs - 1) * steps / seconds


def adversarial_step(hparams: Any, total: int) -> Callable[[Tensor], None]:
    """What a batch does to critic, generator and the average of both."""
    module = WGANGP(**hparams)  # of which only the networks are taken
    generator, critic, each = module.generator, module.critic, hparams["n_critic"]
    settings: dict[str, Any] = {"lr": hparams["lr"], "betas": hparams["betas"], "fused": True}
    critic_steps, generator_steps = (torch.optim.Adam(net.parameters(), **settings) for net in (critic, generator))
    rates = [LinearLR(optimizer, 1, 0, total) for optimizer in (critic_steps, generator_steps)]
    average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.999), use_buffers=True)
    done = 0

    def step(real: Tensor) -> None:
        nonlocal done
        done += 1
        with torch.no_grad():
            drawn = generator(torch.randn(len(real), hparams["latent_dim"]))
        norms = gradient_norms(critic, real, drawn, torch.rand(len(real)))
        loss = (critic(drawn) - critic(real) + hparams["penalty"] * (norms - 1).square()).mean()
        critic_steps.zero_grad()
        loss.backward()
        critic_steps.step()
        rates[0].step()
        if done % each == 0:
            critic.requires_grad_(False)
            generator_steps.zero_grad()
            (-critic(generator(torch.randn(len(real), hparams["latent_dim"]))).mean()).backward()
            generator_steps.step()
            rates[1].step()
            critic.requires_grad_(True)
        average.update_parameters(module)

    return step


def diffusion_step(hparams: Any, total: int) -> Callable[[Tensor], None]:
    """What a batch does to the network and its average."""
    module = DDPM(**hparams)  # of which only the network and the chain are taken
    net, chain = module.net, module.process
    optimizer = torch.optim.AdamW(net.parameters(), lr=hparams["lr"], weight_decay=0.0, fused=True)
    schedule, warmup = hparams["lr_schedule"], hparams["lr_warmup"]
    rate = LambdaLR(optimizer, lambda step: schedule_factor(step, total, schedule, warmup))
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.995), use_buffers=True)

    def step(data: Tensor) -> None:
        times, noise = chain.draw_times(len(data)), torch.randn_like(data)
        output = net(chain.noised(data, times, noise), chain.network_time(times), None)
        optimizer.zero_grad()
        chain.losses(output, data, times, noise).mean().backward()
        optimizer.step()
        rate.step()
        average.update_parameters(net)

    return step


STEPS = {"wgan_gp": adversarial_step, "ddpm": diffusion_step}


def main() -> None:
    """Prints both speeds and the median of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=STEPS)
    parser.add_argument("--config", help="a variant of the recipe, without classes")
    parser.add_argument("--rounds", type=int, default=7, help="rounds in which both take turns")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of a round; the first warms up")
    parser.add_argument("--steps", type=int, default=9, help="training batches of an epoch")
    args, flags = parser.parse_known_args()
    speeds = []
    for _ in range(args.rounds):
        own, cli = of_recipe(args.recipe, args.config or args.recipe, args.epochs, args.steps, flags)
        images = 2 * cli.datamodule.tensors("train", 5000)[0] - 1
        size = cli.datamodule.hparams["batch_size"]
        step = STEPS[args.recipe](cli.model.hparams, args.epochs * args.steps)
        speeds.append((own, by_hand(step, images, size, args.epochs, args.steps)))
        print("recipe {:.1f}, by hand {:.1f} batches/s".format(*speeds[-1]), flush=True)
    ratios = [own / hand for own, hand in speeds]
    print(f"recipe / by hand: {median(ratios):.3f} [{min(ratios):.3f}, {max(ratios):.3f}] of {len(ratios)} rounds")


if __name__ == "__main__":
    main()
