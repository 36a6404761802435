"""What autoencoders and generators of images show, against what they compute."""

import numpy as np
import pytest
import torch

from nnzoo import VAE, Autoencoder, SequenceGenerator
from nnzoo.modules.generative import manifold, samples_figure
from nnzoo.plots.images import tile
from support.drawn import pixels, points, texts

SHAPE = (1, 4, 5)
SMALL = {"in_shape": SHAPE, "hidden": (6,), "latent_dim": 3}
CLASSES = ["ant", "bee", "cat"]


def batch(count=12):
    return torch.randint(17, (count, *SHAPE)) / 16, torch.arange(count) % 3


def rows_of(figure):
    return {axis.get_ylabel(): pixels(axis) for axis in figure.axes}


@torch.no_grad()
@pytest.mark.parametrize("conditional", [False, True])
def test_the_pictures_of_a_vae_are_what_its_methods_return(conditional):
    module = VAE(**SMALL, levels=17, num_classes=3, conditional=conditional).eval()
    images, labels = batch()
    given = labels if conditional else None
    figures = module.figures((images, labels), {"classes": CLASSES})
    assert set(figures) == {"samples", "reconstructions", "latent_space", "interpolation"}
    rows = rows_of(figures["reconstructions"])
    few = images[:10], None if given is None else given[:10]
    np.testing.assert_allclose(rows["original"], tile(images[:10], 10))
    np.testing.assert_allclose(rows["reconstruction"], tile(module.reconstruct(*few), 10), rtol=1e-5)
    codes = module.encode(images, given)
    assert texts(figures["latent_space"].axes[0].get_legend().get_texts()) == CLASSES
    first = points(figures["latent_space"].axes[0])
    assert len(first) == 4, "the images of the first class"
    np.testing.assert_allclose(*(np.linalg.norm(p[0] - p[1]) for p in (first, project(codes)[labels == 0])), rtol=1e-3)
    between = module.interpolate(images[:4], images[4:8], 10, None if given is None else given[:4])
    grid = torch.cat([images[:4, None], between, images[4:8, None]], dim=1).flatten(0, 1)
    np.testing.assert_allclose(pixels(figures["interpolation"].axes[0]), tile(grid, 12), rtol=1e-5)


def project(codes):
    """Codes on their two axes of largest variance, by a singular value decomposition."""
    centred = codes.double() - codes.double().mean(dim=0)
    return (centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:2].T).numpy()


@torch.no_grad()
def test_a_denoising_autoencoder_shows_what_it_is_given_between_original_and_reconstruction():
    module = Autoencoder(**SMALL, noise="masking", noise_level=0.5).eval()
    images, labels = batch()
    rows = rows_of(module.figures((images, labels), {})["reconstructions"])
    assert list(rows) == ["original", "input", "reconstruction"]
    noisy = module.corrupt_for_evaluation(images[:10], 0)
    assert not torch.equal(noisy, images[:10])
    for shown, expected in zip(rows.values(), (images[:10], noisy, module(noisy)), strict=True):
        np.testing.assert_allclose(shown, tile(expected, 10), rtol=1e-5)


@torch.no_grad()
def test_samples_have_a_row_for_each_class_by_its_name():
    module = SequenceGenerator(in_shape=SHAPE, levels=17, num_classes=3, hidden_size=8).eval()
    figures = module.figures(batch(), {"classes": CLASSES})
    rows = rows_of(figures["samples"])
    assert list(rows) == CLASSES
    labels = torch.arange(3).repeat_interleave(10)
    expected = module.sample(30, labels, generator=torch.Generator().manual_seed(0))
    for number, shown in enumerate(rows.values()):
        np.testing.assert_allclose(shown, tile(expected[10 * number : 10 * number + 10], 10))


def test_the_classes_of_the_samples_are_asked_for_in_the_order_of_the_rows():
    class Flat:
        """Its samples are as bright as the number of their class."""

        device = torch.device("cpu")

        def sample(self, count, labels=None, generator=None):
            return (torch.zeros(count) if labels is None else labels / 10).view(-1, 1, 1, 1).expand(count, *SHAPE)

    brightness = {name: float(shown[0, 0, 0]) for name, shown in rows_of(samples_figure(Flat(), 3, {})).items()}
    assert brightness == pytest.approx({"0": 0.0, "1": 0.1, "2": 0.2})
    (axis,) = samples_figure(Flat(), 0, {}).axes
    assert pixels(axis).shape[0] == 10 * 5 - 1, "a grid of ten by ten"


@torch.no_grad()
def test_of_two_latent_dimensions_the_decoded_manifold_is_drawn():
    module = VAE(**{**SMALL, "latent_dim": 2}, levels=17).eval()
    (axis,) = module.figures(batch(), {})["manifold"].axes
    np.testing.assert_allclose(pixels(axis), tile(manifold(module), 20), rtol=1e-5)
    assert "manifold" not in VAE(**SMALL, levels=17).eval().figures(batch(), {})


@torch.no_grad()
def test_the_manifold_rises_to_the_right_and_upwards_evenly_in_probability():
    class Codes(VAE):
        def decode(self, codes, labels=None):
            return codes

    codes = manifold(Codes(**{**SMALL, "latent_dim": 2}), side=5).view(5, 5, 2)
    steps = torch.distributions.Normal(0, 1).icdf(torch.tensor([0.02, 0.26, 0.5, 0.74, 0.98]))
    torch.testing.assert_close(codes[2, :, 0], steps, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(codes[:, 2, 1], steps.flip(0), atol=1e-5, rtol=1e-4)


def test_noise_of_pictured_samples_is_drawn_on_the_models_device(monkeypatch):
    """A generator of another device is refused by every GPU; here it is enough to see which one is asked for."""
    asked, built = [], torch.Generator

    class Module:
        device = torch.device("cuda", 1)

        def sample(self, count, labels=None, generator=None):
            return torch.rand(count, *SHAPE)

    monkeypatch.setattr(torch, "Generator", lambda *device: asked.append(device) or built())
    samples_figure(Module(), 0, {})
    assert asked == [(Module.device,)]
