"""DDPM: what it trains on, what its test measures, and what it refuses."""

import math
from pathlib import Path

import lightning as L
import pytest
import torch
from scipy import stats
from torch import nn
from torch.utils.data import DataLoader

from nnzoo import DDPM, InputError
from nnzoo.nets.samplers import guided
from support.found import recipe, run
from support.quiet import QUIET

TINY = {"in_shape": (1, 8, 8), "levels": 17, "channels": 4, "channel_mult": (1,), "timesteps": 30}
POINTS = {"in_shape": (2,), "levels": 0, "architecture": "mlp", "hidden": (8,)}


def drawn(module):
    """A module whose layers that begin at zero are drawn, so that all inputs act."""
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return module.eval()


def sources(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_the_loss_is_that_of_the_network_on_noised_images_in_the_models_scale():
    module, images = drawn(DDPM(**TINY)), torch.rand(3, 1, 8, 8)
    data, labels = module.to_model((images, torch.tensor([0, 1, 2])))
    assert torch.allclose(data, 2 * images - 1)
    assert labels is None, "it is not conditional"
    found = module.losses(data, None, sources(1, 2, 3))
    again = sources(1, 2, 3)
    times = module.process.draw_times(3, again)
    noise = torch.stack([torch.randn(1, 8, 8, generator=source) for source in again])
    noised = module.process.noised(data, times, noise)
    error = module.net(noised, times * (1000 / 30)) - noise
    assert torch.allclose(found, error.square().flatten(1).mean(1), rtol=1e-5)


def test_a_share_of_the_classes_is_not_told_in_training_alone():
    module = DDPM(**TINY, num_classes=10, conditional=True, label_dropout=0.3)
    seen = []
    module.net.register_forward_pre_hook(lambda _, args: seen.append(args[2]))
    labels = torch.zeros(2000, dtype=torch.long)
    data = torch.zeros(2000, 1, 8, 8)
    torch.manual_seed(0)
    module.train().losses(data, labels)
    module.eval().losses(data, labels)
    assert float((seen[0] == 10).float().mean()) == pytest.approx(0.3, abs=0.04)
    assert not (seen[1] == 10).any()


@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0])
def test_guidance_is_between_the_network_with_and_without_the_class(scale):
    module = drawn(DDPM(**TINY, num_classes=3, conditional=True, variance="learned"))
    noised, times, labels = torch.randn(2, 1, 8, 8), torch.tensor([3, 20]), torch.tensor([0, 2])
    told = module.net(noised, module.process.network_time(times), labels)
    untold = module.net(noised, module.process.network_time(times), torch.full((2,), 3))
    found = module.denoiser(labels, scale)(noised, times)
    assert torch.allclose(found[:, :1], guided(told[:, :1], untold[:, :1], scale), atol=1e-5)
    assert torch.allclose(found[:, 1:], told[:, 1:], atol=1e-5), "the variance is that of the class"


def test_bits_per_dimension_are_the_sum_of_all_terms():
    module, images = drawn(DDPM(**TINY)), torch.randint(17, (2, 1, 8, 8)) / 16
    terms = module.process.nll_terms(module.denoiser(None), 2 * images - 1, sources(1, 2))
    assert terms.shape == (2, 31)
    assert torch.allclose(module.log_likelihood(images, generator=sources(1, 2)), -terms.sum(1), rtol=1e-5)
    trainer = L.Trainer(**QUIET)
    (metrics,) = trainer.test(module, DataLoader([(images, torch.zeros(2))], batch_size=None), verbose=False)
    assert metrics["test/bits_per_dim"] == pytest.approx(metrics["test/nll"] / 64 / math.log(2), rel=1e-5)


def test_an_untrained_model_of_grey_levels_pays_at_least_its_uniform_law():
    """What says nothing of the image cannot be cheaper than log2(17) bits on noise; probabilities sum to 1."""
    module, images = DDPM(**TINY, schedule="cosine"), torch.randint(17, (20, 1, 8, 8)) / 16
    bits = -module.log_likelihood(images, generator=sources(*range(20))) / 64 / math.log(2)
    assert float(bits.mean()) > math.log2(17)


class NormalFlow(DDPM):
    """The velocity of data N(0, 0.5^2)."""

    def build_net(self):
        return NormalVelocity()


class NormalVelocity(nn.Module):
    def forward(self, noised, times, labels=None):
        t = (times / 1000)[:, None]
        return (t * 0.25 - (1 - t)) / ((1 - t) ** 2 + t**2 * 0.25) * noised


def test_the_flows_likelihood_of_points_is_the_closed_form():
    module, points = NormalFlow(**POINTS, objective="flow_matching"), torch.randn(10, 2) / 2
    expected = stats.norm.logpdf(points.numpy(), scale=0.5).sum(1)
    assert module.log_likelihood(points).numpy() == pytest.approx(expected, abs=5e-3)


def test_the_likelihood_given_a_class_that_is_none_is_refused():
    """The number after the last is what the network is told where no class is."""
    module = DDPM(**TINY, num_classes=3, conditional=True)
    with pytest.raises(InputError, match=r"Labels must lie in 0 \.\. 2, got 0 \.\. 3"):
        module.log_likelihood(torch.rand(2, 1, 8, 8), torch.tensor([0, 3]))


def test_the_flows_likelihood_of_images_is_one_of_grey_levels():
    """A level is 2 / 16 wide in the model's scale, and images are dequantised within their levels."""
    settings = {**TINY, "objective": "flow_matching", "architecture": "mlp", "hidden": (8,)}
    del settings["channels"], settings["channel_mult"], settings["timesteps"]
    module, images = DDPM(**settings), torch.randint(17, (3, 1, 8, 8)) / 16  # whose velocity is 0 everywhere
    found = module.log_likelihood(images, generator=sources(1, 2, 3))
    noise = torch.stack([torch.empty(1, 8, 8).uniform_(-1, 1, generator=source) for source in sources(1, 2, 3)])
    data = 2 * images - 1 + noise / 16
    expected = stats.norm.logpdf(data.numpy()).reshape(3, -1).sum(1) + 64 * math.log(2 / 16)
    assert found.numpy() == pytest.approx(expected, rel=1e-4)


def test_the_likelihood_of_large_tests_is_of_some_samples_and_says_so():
    module = DDPM(**TINY, max_nll_evaluations=70)
    assert module.max_nll_samples == 2
    assert DDPM(**TINY, max_nll_evaluations=None).max_nll_samples == math.inf
    assert DDPM(**TINY, max_nll_evaluations=1).max_nll_samples == 1


BAD = [
    ({"steps": 31}, "chain of 30 steps cannot be sampled in 31"),
    ({"steps": 0}, "steps must be positive"),
    ({"timesteps": 20}, "linear schedule needs 21 steps or more, got 20, or take the cosine schedule"),
    ({"schedule": "exponential"}, "no schedule 'exponential'"),
    ({"sampler": "pndm"}, "no sampler 'pndm'"),
    ({"guidance": 2.0}, "guidance does nothing with conditional False"),
    ({"labels": [3]}, "labels does nothing with conditional False"),
    ({"conditional": True}, "conditional needs classes"),
    ({"conditional": True, "num_classes": 3, "labels": [0, 3]}, "from 0 to 2, got class 3"),
    ({"conditional": True, "num_classes": 3, "guidance": -1.0}, "guidance must not be negative"),
    ({"conditional": True, "num_classes": 3, "label_dropout": 1.0}, "label_dropout go from 0"),
    ({"sampler": "ddim", "eta": 1.5}, "eta from 0 to 1"),
    ({"num_images": 0}, "num_images must be positive"),
    ({"zero_terminal_snr": True}, "zero_terminal_snr needs x0 or v"),
    ({"channel_mult": (1, 2, 2, 2, 2)}, r"8x8 image cannot be halved 4 times.*channel_mult of 4 levels"),
    ({"attention": (16,)}, "No feature map is 16 high"),
    ({"in_shape": (2,)}, "A U-Net is for images: set --model.architecture mlp"),
    ({"levels": 1}, "single grey level"),
]


@pytest.mark.parametrize(("settings", "says"), BAD, ids=[says[:30] for _, says in BAD])
def test_what_cannot_be_is_refused_in_one_sentence(settings, says):
    with pytest.raises(InputError, match=says):
        DDPM(**{**TINY, **settings})


def test_half_precision_of_images_is_refused():
    module = DDPM(**TINY)
    with pytest.raises(InputError, match="moves grey levels"):
        L.Trainer(**{**QUIET, "precision": "bf16-true"}).test(module, [(torch.rand(2, 1, 8, 8), torch.zeros(2))])


def test_the_flows_likelihood_is_taken_where_trainers_test_without_gradients():
    module, points = NormalFlow(**POINTS, objective="flow_matching"), torch.randn(10, 2) / 2
    loader = DataLoader([(points, torch.zeros(10))], batch_size=None)
    (metrics,) = L.Trainer(**QUIET).test(module, loader, verbose=False)
    assert metrics["test/nll"] == pytest.approx(-float(module.log_likelihood(points).mean()), rel=1e-5)


class Remembering(DDPM):
    """Keeps its losses."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.seen = [*getattr(self, "seen", []), loss.detach()]
        return loss


@pytest.mark.parametrize("settings", [{}, {"variance": "learned"}, {"objective": "flow_matching"}])
def test_half_the_bits_train_as_well(settings):
    """Losses, attention and the times' sines are in float32 under bf16-mixed: the loss stays finite and falls."""
    base = {**TINY, "attention": (8,), "lr": 1e-2, **settings}
    if "objective" in settings:
        del base["timesteps"]
    torch.manual_seed(0)
    module, images = Remembering(**base), torch.randint(17, (64, 1, 8, 8)) / 32  # dark ones
    loader = DataLoader([(images, torch.zeros(64))] * 50, batch_size=None)
    L.Trainer(**{**QUIET, "precision": "bf16-mixed", "max_epochs": 2}).fit(module, loader)
    losses = module.seen
    assert len(losses) == 100
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in losses)
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])


@pytest.mark.filterwarnings("ignore:.*")
def test_the_average_of_the_weights_is_what_is_tested_and_drawn_from(in_tmp):
    """The likelihood after a fit, and what is drawn, are those of the checkpoint's weights: the averaged ones."""
    flags = ["--config", "smoke", "--trainer.accelerator", "cpu", "--model.lr", "0.03", "--figures.draw", "false"]
    settings = ["--model.channels", "4", "--model.timesteps", "30", "--model.steps", "5", "--baselines", "null"]
    metrics = run("ddpm", [*flags, *settings])
    (best,) = Path("runs").glob("ddpm/*/best.ckpt")
    checkpoint = torch.load(best, weights_only=True)
    average, last = checkpoint["state_dict"], checkpoint["current_model_state"]
    assert not torch.allclose(average["net.last.weight"], last["net.last.weight"])
    module = DDPM.load_from_checkpoint(best)
    assert torch.equal(module.net.last.weight, average["net.last.weight"])
    tested = recipe("ddpm").main(["test", "--ckpt_path", str(best), "--trainer.callbacks", "null", *flags[:4]])
    assert tested["test/bits_per_dim"] == pytest.approx(metrics["test/bits_per_dim"], rel=1e-5)
