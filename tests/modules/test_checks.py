import math

import pytest
import torch

from nnzoo.data.images.module import ImageDataModule
from nnzoo.errors import InputError
from nnzoo.modules.autoencoder import Autoencoder
from nnzoo.modules.checks import check_images
from nnzoo.modules.sequence_generator import SequenceGenerator
from nnzoo.modules.vae import VAE
from nnzoo.nets.layers import checked_labels


@pytest.mark.parametrize(
    ("images", "binary", "message"),
    [
        (torch.zeros(2, 1, 4, 5), False, r"takes images of shape \(1, 4, 4\), the data are \(1, 4, 5\): set --data"),
        (torch.zeros(2, 3, 4, 4), False, r"--data.color"),
        (torch.zeros(2, 4, 4), False, r"takes images of shape"),
        (torch.full((2, 1, 4, 4), math.nan), False, "NaN or infinite values: repair or remove them"),
        (torch.full((2, 1, 4, 4), math.inf), False, "NaN or infinite"),
        (torch.full((2, 1, 4, 4), 255.0), False, r"must lie in \[0, 1\], got \[255, 255\]: rescale them"),
        (torch.full((2, 1, 4, 4), -0.1), False, r"got \[-0.1, -0.1\]"),
        (torch.full((2, 1, 4, 4), 0.5), True, "set --data.binarize dynamic, or --model.likelihood"),
    ],
)
def test_images_that_the_model_cannot_use_are_refused_with_the_way_out(images, binary, message):
    with pytest.raises(InputError, match=message):
        check_images(images, (1, 4, 4), binary)


def test_a_single_bad_pixel_in_the_batch_is_found():
    for value in (math.nan, 1.01, -0.01):
        images = torch.rand(8, 3, 4, 4)
        images[5, 2, 1, 3] = value
        with pytest.raises(InputError):
            check_images(images, (3, 4, 4))
    images = torch.ones(8, 3, 4, 4)
    images[5, 2, 1, 3] = 0.5
    with pytest.raises(InputError, match="Bernoulli"):
        check_images(images, (3, 4, 4), binary=True)


def test_proper_images_pass_whether_the_shape_is_a_tuple_or_a_list():
    check_images(torch.rand(2, 3, 4, 5), (3, 4, 5))
    check_images(torch.rand(2, 3, 4, 5), [3, 4, 5])
    check_images(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1), (1, 1, 1), binary=True)


@pytest.mark.parametrize("labels", [None, torch.tensor([0, 3]), torch.tensor([-1, 0])])
def test_missing_and_unknown_labels_are_refused(labels):
    with pytest.raises(InputError, match=r"give it labels|renumber the classes"):
        checked_labels(labels, 3)


def test_labels_of_all_classes_pass():
    checked_labels(torch.arange(3), 3)


@pytest.mark.parametrize("precision", ["bf16-true", "16-true"])
@pytest.mark.parametrize("cls", [VAE, SequenceGenerator])
@pytest.mark.parametrize("do", ["fit", "validate", "test"])
def test_a_likelihood_is_refused_images_whose_grey_levels_are_rounded(cls, precision, do, make_trainer):
    levels = torch.arange(256) / 255
    assert ((levels.bfloat16().double() - levels) * 255).abs().max() > 0.45, "half a level"
    trainer = make_trainer(precision=precision, fast_dev_run=True)
    with pytest.raises(InputError, match=f"{precision} moves grey levels .* set bf16-mixed or 32-true"):
        getattr(trainer, do)(cls(in_shape=(1, 8, 8), levels=17), datamodule=ImageDataModule())


def test_what_has_no_likelihood_trains_in_half_precision(make_trainer):
    trainer = make_trainer(precision="bf16-true", fast_dev_run=True)
    trainer.fit(Autoencoder(in_shape=(1, 8, 8), hidden=[8], latent_dim=2), ImageDataModule())
