"""Frames over training: evenly spaced, of the averaged weights, and the same in a run that was interrupted."""

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nnzoo import WGANGP
from nnzoo.callbacks.averaging import EMA
from nnzoo.modules.sample_history import MOST_FRAMES, SampleHistory, packed, unpacked
from nnzoo.modules.wgan_gp_figures import WATCHED_POINTS, adversarial_figures, watched_samples
from support.quiet import QUIET

POINTS = {"in_shape": (2,), "levels": 0, "architecture": "mlp", "hidden": (8,), "latent_dim": 6, "lr": 0.01}
IMAGES = {"in_shape": (1, 8, 8), "levels": 17, "channels": 4, "latent_dim": 6}


def frame(number):
    return torch.full((3, 2), float(number))


def offered(history, numbers):
    for number in numbers:
        history.offer(lambda number=number: frame(number), 10 * number)
    return history


class LastWeights(L.Callback):
    """Keeps what the weights of the last step draw."""

    def on_train_batch_end(self, trainer, pl_module, *args):
        self.samples = watched_samples(pl_module)


def fit(module, data, *callbacks, epochs=3):
    trainer = L.Trainer(**QUIET, max_epochs=epochs, callbacks=list(callbacks))
    loader = DataLoader(data, batch_size=4)
    trainer.fit(module, loader, loader)
    return module


@pytest.mark.parametrize("count", [1, MOST_FRAMES, MOST_FRAMES + 1, 100, 1000])
def test_a_few_frames_are_kept_evenly_spaced_from_the_first_on(count):
    history = offered(SampleHistory(), range(count))
    numbers = [float(kept[0, 0]) for kept in history.frames]
    assert MOST_FRAMES // 2 < len(numbers) <= MOST_FRAMES or len(numbers) == count
    assert numbers == [history.stride * position for position in range(len(numbers))]
    assert history.batches == [10 * number for number in numbers]
    assert numbers[-1] + history.stride >= count, "up to the end"


def test_one_that_was_saved_and_loaded_goes_on_as_if_it_had_not_been():
    whole = offered(SampleHistory(), range(90))
    begun, resumed = offered(SampleHistory(), range(37)), SampleHistory()
    resumed.load_state_dict(begun.state_dict())
    offered(resumed, range(37, 90))
    assert resumed.batches == whole.batches
    assert all(torch.equal(*both) for both in zip(resumed.frames, whole.frames, strict=True))
    assert len(begun.frames) < len(whole.frames) or begun.stride < whole.stride


def test_images_are_kept_as_bytes_and_points_as_they_are():
    images, points = torch.rand(2, 1, 8, 8), torch.randn(5, 2)
    assert packed(images).dtype == torch.uint8
    assert torch.allclose(unpacked(packed(images)), images, atol=0.5 / 255 + 1e-6)
    assert torch.allclose(unpacked(packed(points)), points, rtol=1e-3, atol=1e-3)


def test_frames_are_of_the_averaged_weights_whose_samples_are_tested():
    torch.manual_seed(0)
    data, last_weights = TensorDataset(torch.randn(40, 2), torch.zeros(40)), LastWeights()
    module = fit(WGANGP(**POINTS, n_critic=1), data, EMA(decay=0.9), last_weights)
    *_, last = module.history.frames
    assert len(module.history.frames) == 3
    assert torch.equal(last, packed(watched_samples(module))), "in the end the module has the averaged weights"
    assert not torch.allclose(unpacked(last), last_weights.samples, atol=0.01)


def test_a_checkpoint_holds_the_frames_and_an_older_one_does_without():
    data = TensorDataset(torch.rand(12, 1, 8, 8), torch.arange(12) % 3)
    module, checkpoint = fit(WGANGP(**IMAGES), data), {WGANGP.CHECKPOINT_HYPER_PARAMS_KEY: {}}
    module.on_save_checkpoint(checkpoint)
    other = WGANGP(**IMAGES)
    other.on_load_checkpoint({})
    assert other.history.frames == []
    other.on_load_checkpoint(checkpoint)
    assert other.history.batches == [3, 6, 9]


@pytest.mark.parametrize(
    ("in_shape", "count"), [((1, 8, 8), 16), ((3, 32, 32), 16), ((3, 64, 64), 5), ((1, 300, 300), 1)]
)
def test_fewer_large_images_are_watched_so_that_checkpoints_stay_small(in_shape, count):
    module = WGANGP(in_shape=in_shape, architecture="mlp", hidden=(2,), latent_dim=2)
    assert watched_samples(module).shape == (count, *in_shape)


def test_validating_alone_keeps_no_frame():
    module = WGANGP(**POINTS)
    loader = DataLoader(TensorDataset(torch.randn(8, 2), torch.zeros(8)), batch_size=4)
    L.Trainer(**QUIET).validate(module, loader, verbose=False)
    assert module.history.frames == []


@pytest.mark.parametrize("kind", ["images", "points"])
def test_pictures_show_the_frames_and_what_is_drawn_in_the_end(kind):
    samples = torch.rand(12, 1, 8, 8) if kind == "images" else torch.randn(12, 2)
    module = fit(WGANGP(**(IMAGES if kind == "images" else POINTS)), TensorDataset(samples, torch.arange(12) % 3))
    with torch.no_grad():
        figures = adversarial_figures(module.eval(), (samples, None))
    assert {"training", "training_animation"} <= figures.keys()
    assert len(figures["training_animation"]) == 3 + 1 + 10
    assert len(watched_samples(WGANGP(**POINTS))) == WATCHED_POINTS
    module.history.frames.clear()
    assert "training" not in adversarial_figures(module, (samples, None))
