"""A training step of each family, as one writes it by hand."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.loops import Setting, Step, gradient_step
from nnzoo.nets.wgan_gp import gradient_norms
from nnzoo.tokens import IGNORED, PAD

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of outputs and target, a number."""


def split(module: Any, batch: Any) -> Any:
    """Inputs and target."""
    return module.split(batch)


def standardized(module: Any, batch: Any) -> Any:
    """Images less their mean, and the target."""
    images, target = batch
    return [(images - module.pixel_mean) / module.pixel_std], target


def images_alone(module: Any, batch: Any) -> Tensor:
    """Images in [0, 1]."""
    return batch[0] if isinstance(batch, tuple | list) else batch


def centred(module: Any, batch: Any) -> Tensor:
    """Images in [-1, 1]."""
    return 2 * images_alone(module, batch) - 1


def with_target(module: Any, batch: Any) -> Any:
    """Source, lengths and target, which the decoder reads; and the target once more."""
    return batch, batch[-1]


def label_likelihood(outputs: Tensor, target: Tensor) -> Tensor:
    """Labels at each step: the mean over sequences of their mean over valid steps."""
    valid = target[..., 0] != IGNORED
    losses = F.binary_cross_entropy_with_logits(outputs, target.clamp(min=0), reduction="none").sum(dim=2)
    return ((losses * valid).sum(dim=1) / valid.sum(dim=1)).mean()


def characters(outputs: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood of the targets' characters, summed over these and averaged over the batch."""
    wanted = target[:, 1:].flatten()
    return F.cross_entropy(outputs.flatten(0, 1), wanted, ignore_index=PAD, reduction="sum") / len(target)


def supervised(loss: Loss) -> Callable[[Setting], Step]:
    """A network from inputs to outputs, which a loss compares with the target."""

    def build(setting: Setting) -> Step:
        net, decay = setting.fresh().net, setting.hparams.get("layer_decay", 1.0)
        shares = net.shares(decay) if decay < 1 else None
        return gradient_step(lambda batch: loss(net(*batch[0]), batch[1]), list(net.parameters()), setting, shares)

    return build


def variational(setting: Setting) -> Step:
    """The negative ELBO of binary images."""
    module = setting.fresh()
    encoder, decoder = module.encoder, module.decoder

    def loss(images: Tensor) -> Tensor:
        mean, log_var = encoder(images).chunk(2, dim=1)
        logits = decoder(mean + (0.5 * log_var).exp() * torch.randn_like(mean))
        reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
        kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum()
        return (reconstruction + kl) / len(images)

    return gradient_step(loss, list(module.parameters()), setting)


def denoising(setting: Setting) -> Step:
    """The squared error of images from noisy ones."""
    module = setting.fresh()
    encoder, decoder, level = module.encoder, module.decoder, setting.hparams["noise_level"]

    def loss(images: Tensor) -> Tensor:
        logits = decoder(encoder(images + level * torch.randn_like(images)))
        return F.mse_loss(logits.sigmoid(), images, reduction="sum") / len(images)

    return gradient_step(loss, list(module.parameters()), setting)


def adversarial(setting: Setting) -> Step:
    """What a batch does to critic, generator and the average of both."""
    module, hparams = setting.fresh(), setting.hparams
    generator, critic, each = module.generator, module.critic, hparams["n_critic"]
    settings: dict[str, Any] = {"lr": hparams["lr"], "betas": hparams["betas"], "fused": True}
    critic_steps, generator_steps = (torch.optim.Adam(net.parameters(), **settings) for net in (critic, generator))
    rates = [LambdaLR(optimizer, setting.factor) for optimizer in (critic_steps, generator_steps)]
    average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
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


def diffusion(setting: Setting) -> Step:
    """What a batch does to the network and its average."""
    module = setting.fresh()
    net, chain = module.net, module.process
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.995), use_buffers=True)

    def loss(data: Tensor) -> Tensor:
        times, noise = chain.draw_times(len(data)), torch.randn_like(data)
        output = net(chain.noised(data, times, noise), chain.network_time(times), None)
        return chain.losses(output, data, times, noise).mean()

    learn = gradient_step(loss, list(net.parameters()), setting)

    def step(data: Tensor) -> None:
        learn(data)
        average.update_parameters(net)

    return step
