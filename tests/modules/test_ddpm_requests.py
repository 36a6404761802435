"""What a diffusion model can be asked for, and what it refuses rather than draw something else."""

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nnzoo import DDPM, InputError
from support.quiet import QUIET

TINY = {"in_shape": (1, 8, 8), "levels": 17, "channels": 4, "channel_mult": (1,), "timesteps": 30}
CLASSES = {"num_classes": 3, "conditional": True}


def sources(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"steps": 31}, "can take 1 to 30 steps"),
        ({"sampler": "heun"}, "no sampler heun of diffusion: take ddpm or ddim or dpm_solver"),
        ({"sampler": "ddim", "eta": 2.0}, "eta goes from 0"),
        ({"sampler": "dpm_solver", "eta": 1.0}, "eta does nothing with dpm_solver: take the sampler ddim"),
        ({"steps": 0}, "can take 1 to 30 steps here, got 0"),
        ({"guidance": 3.0}, "guidance is for models trained with classes"),
        ({"guidance": -1.0}, "guidance must not be negative, got -1"),
        ({"guidance": float("nan")}, "guidance must not be negative, got nan"),
    ],
)
def test_samplers_that_cannot_be_are_refused(how, says):
    with pytest.raises(InputError, match=says):
        DDPM(**TINY).sample(2, **how)


def test_a_flow_without_steps_is_refused():
    module = DDPM(**{key: value for key, value in TINY.items() if key != "timesteps"}, objective="flow_matching")
    with pytest.raises(InputError, match="takes 1 step or more, got 0"):
        module.sample(2, steps=0)


def test_guidance_is_refused_where_the_network_has_always_been_told_the_class():
    """Its embedding of no class would be one that it has never learned."""
    classes = {**TINY, **CLASSES, "label_dropout": 0.0}
    with pytest.raises(InputError, match=r"knows data without their class, too: train one with --model\.label_dropout"):
        DDPM(**classes).sample(2, guidance=2.0)
    with pytest.raises(InputError, match=r"--model\.label_dropout"):
        DDPM(**classes, guidance=2.0)
    module = DDPM(**classes)
    batch = torch.rand(8, 1, 8, 8), torch.zeros(8, dtype=torch.long)
    assert "guidance" not in module.figures(batch, {}), "nor is it shown"


def test_with_fewer_times_left_than_the_models_own_steps_all_of_them_are_taken():
    module, images = DDPM(**TINY, steps=20), torch.rand(2, 1, 8, 8)
    assert module.denoise_from(images, 5).shape == images.shape
    assert [module.num_steps(start) for start in (None, 29, 19, 5, 0)] == [20, 20, 20, 6, 1]
    with pytest.raises(InputError, match="can take 1 to 6 steps here, got 7"):
        module.denoise_from(images, 5, steps=7)


@pytest.mark.parametrize("count", [2, 4])
def test_as_many_generators_as_samples_are_needed(count):
    with pytest.raises(InputError, match=f"3 samples need as many generators, or one for all of them: got {count}"):
        DDPM(**TINY).sample(3, steps=2, generator=sources(*range(count)))


@pytest.mark.parametrize(
    "use",
    [
        lambda module, images: module.denoise_from(images, 9),
        lambda module, images: module.interpolate(torch.rand(2, 1, 8, 8), images),
        lambda module, images: module.log_likelihood(images),
    ],
    ids=["denoise_from", "interpolate", "log_likelihood"],
)
@pytest.mark.parametrize(
    ("images", "says"),
    [(torch.full((2, 1, 8, 8), 255.0), r"must lie in \[0, 1\]"), (torch.rand(2, 1, 4, 4), "images of shape")],
    ids=["bytes", "small"],
)
def test_images_that_are_none_of_the_models_are_refused(use, images, says):
    with pytest.raises(InputError, match=says):
        use(DDPM(**TINY), images)


@pytest.mark.parametrize(
    "use",
    [
        lambda module, data, noise: module.sample(2, generator=noise),
        lambda module, data, noise: module.denoise_from(data, 9, generator=noise),
        lambda module, data, noise: module.interpolate(data, data, 2, generator=noise),
        lambda module, data, noise: module.interpolate_noise(2, 2, generator=noise),
        lambda module, data, noise: module.log_likelihood(data, generator=noise),
    ],
    ids=["sample", "denoise_from", "interpolate", "interpolate_noise", "log_likelihood"],
)
def test_a_model_that_was_just_loaded_or_fitted_is_used_without_dropout(use):
    torch.manual_seed(0)
    module, data = DDPM(**TINY, dropout=0.5), torch.rand(2, 1, 8, 8)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.1)
    found = use(module, data, sources(1, 2))
    assert module.training, "it goes on training"
    assert torch.equal(found, use(module.eval(), data, sources(1, 2)))


@pytest.mark.parametrize("settings", [{}, CLASSES])
def test_no_samples_are_refused(settings):
    with pytest.raises(InputError, match="num_samples must be positive"):
        DDPM(**TINY, **settings).sample(0)


def test_batches_of_data_draw_samples_that_differ_though_the_last_batch_is_shorter():
    torch.manual_seed(0)
    module = DDPM(**TINY, steps=2)
    data = TensorDataset(torch.rand(10, 1, 8, 8), torch.zeros(10, dtype=torch.long))
    batches = L.Trainer(**QUIET).predict(module, DataLoader(data, batch_size=4))
    apart = torch.cdist(*2 * [torch.cat(batches).flatten(1)]).fill_diagonal_(1.0)
    assert float(apart.min()) > 1e-3
    again = L.Trainer(**QUIET).predict(module, DataLoader(data, batch_size=5))
    assert torch.allclose(torch.cat(again), torch.cat(batches), atol=1e-5), "whatever the batches"
