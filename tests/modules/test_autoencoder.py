import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from nnzoo.errors import InputError
from nnzoo.modules.autoencoder import Autoencoder
from support.image_batches import STEPS, batch_of, loader

SMALL = {"in_shape": (2, 4, 5), "latent_dim": 3, "hidden": (6,)}


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
@pytest.mark.parametrize("in_shape", [(1, 8, 8), (3, 7, 10)])
def test_every_method_returns_the_stated_shape(in_shape, architecture):
    model = Autoencoder(in_shape=in_shape, latent_dim=3, architecture=architecture, hidden=(4, 5))
    images, other = torch.rand(2, *in_shape), torch.rand(2, *in_shape)
    assert model.encode(images).shape == (2, 3)
    assert model.decode(torch.randn(2, 3)).shape == (2, *in_shape)
    assert model.logits(images).shape == model(images).shape == model.reconstruct(images).shape == (2, *in_shape)
    assert model.interpolate(images, other, steps=5).shape == (2, 5, *in_shape)
    assert model.anomaly_score(images).shape == (2,)
    predictions = model.predict_step(batch_of(images), 0)
    assert torch.equal(predictions["reconstruction"], model(images))
    assert torch.equal(predictions["anomaly_score"], model.anomaly_score(images))


def test_reconstructions_lie_in_the_unit_interval():
    model = Autoencoder(**SMALL)
    images = model.decode(100 * torch.randn(20, 3))
    assert images.min() >= 0
    assert images.max() <= 1


def test_interpolation_starts_and_ends_at_the_reconstructions_and_passes_the_middle_code():
    model = Autoencoder(**SMALL)
    first, second = torch.rand(3, 2, 4, 5), torch.rand(3, 2, 4, 5)
    line = model.interpolate(first, second, steps=5)
    torch.testing.assert_close(line[:, 0], model(first))
    torch.testing.assert_close(line[:, -1], model(second))
    torch.testing.assert_close(line[:, 2], model.decode((model.encode(first) + model.encode(second)) / 2))
    assert not line.requires_grad


@pytest.mark.parametrize(("loss", "reference"), [("mse", nn.MSELoss), ("bce", nn.BCELoss)])
def test_the_loss_is_summed_over_pixels_and_averaged_over_the_batch(loss, reference):
    model = Autoencoder(**SMALL, loss=loss)
    images = torch.rand(4, 2, 4, 5)
    expected = reference(reduction="sum")(model(images), images) / 4
    torch.testing.assert_close(model.training_step(batch_of(images), 0), expected)


def test_the_loss_does_not_depend_on_how_the_batch_is_cut():
    model = Autoencoder(**SMALL)
    images = torch.rand(5, 2, 4, 5)
    whole = model.training_step(batch_of(images), 0)
    parts = [len(part) * model.training_step(batch_of(part), 0) for part in images.split([1, 4])]
    torch.testing.assert_close(whole, sum(parts) / 5)


class Halves(nn.Module):
    """Stands in for the networks: codes are constant, images are 0.5, and the inputs are kept."""

    def __init__(self, out_shape):
        super().__init__()
        self.out_shape, self.inputs = out_shape, []
        self.weight = nn.Parameter(torch.zeros(1, 1))

    def forward(self, inputs):
        self.inputs.append(inputs.detach())
        return 0 * self.weight.sum() + torch.zeros(len(inputs), *self.out_shape)


class HalfAutoencoder(Autoencoder):
    def build_encoder(self):
        return Halves((self.hparams["latent_dim"],))

    def build_decoder(self):
        return Halves(self.hparams["in_shape"])


@pytest.mark.parametrize("noise", ["gaussian", "masking", "salt_and_pepper"])
@pytest.mark.parametrize("step", STEPS)
def test_noise_reaches_the_encoder_but_the_target_stays_clean(step, noise):
    model = HalfAutoencoder(**SMALL, noise=noise, noise_level=0.5)
    images = 0.2 + 0.6 * torch.rand(3, 2, 4, 5)
    getattr(model, step)(batch_of(images), 0)
    assert not torch.equal(model.encoder.inputs[0], images)
    stage = {"training_step": "train", "validation_step": "val", "test_step": "test"}[step]
    clean_error = (images - 0.5).square().sum() / 3
    torch.testing.assert_close(model.means.metrics[f"{stage}/loss"].compute(), clean_error)


def test_the_configured_noise_has_the_configured_level():
    model = Autoencoder(**SMALL, noise="gaussian", noise_level=0.7)
    images = torch.zeros(500, 2, 4, 5)
    assert stats.kstest(model.corrupt(images).flatten(), stats.norm(0, 0.7).cdf).pvalue > 1e-3
    model = Autoencoder(**SMALL, noise="masking", noise_level=0.7)
    zeros = int((model.corrupt(images + 1)[:, 0] == 0).sum())
    assert stats.binomtest(zeros, 500 * 20, 0.7).pvalue > 1e-3


def test_training_noise_is_new_at_every_step():
    model = HalfAutoencoder(**SMALL, noise="gaussian")
    for _ in range(2):
        model.training_step(batch_of(torch.rand(3, 2, 4, 5)), 0)
    assert not torch.equal(*model.encoder.inputs)


def test_without_noise_the_encoder_sees_the_images():
    model = HalfAutoencoder(**SMALL)
    images = torch.rand(3, 2, 4, 5)
    for step in STEPS:
        getattr(model, step)(batch_of(images), 0)
    assert all(torch.equal(seen, images) for seen in model.encoder.inputs)


@pytest.mark.parametrize("noise", ["gaussian", "masking", "salt_and_pepper"])
def test_evaluation_noise_is_the_same_in_every_evaluation_whatever_the_global_generator(make_trainer, noise):
    model = Autoencoder(**SMALL, noise=noise, noise_level=0.5)
    batches = loader(torch.rand(4, 2, 4, 5), torch.rand(4, 2, 4, 5))
    trainer, results = make_trainer(), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        results.append(trainer.validate(model, batches, verbose=False)[0])
    assert results[0] == results[1]
    images = torch.full((4, 2, 4, 5), 0.5)
    assert torch.equal(model.corrupt_for_evaluation(images, 0), model.corrupt_for_evaluation(images, 0))
    assert not torch.equal(model.corrupt_for_evaluation(images, 0), model.corrupt_for_evaluation(images, 1))


@pytest.mark.parametrize("step", ["validation_step", "test_step", "predict_step"])
def test_evaluation_leaves_the_noise_of_the_training_alone(step):
    model = Autoencoder(**SMALL, noise="gaussian")
    before = torch.get_rng_state()
    getattr(model, step)(batch_of(torch.rand(4, 2, 4, 5, generator=torch.Generator())), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_averages_over_samples_not_over_batches(make_trainer):
    model = Autoencoder(**SMALL)
    images = torch.rand(7, 2, 4, 5)
    for stage, evaluate in (("val", make_trainer().validate), ("test", make_trainer().test)):
        results = evaluate(model, loader(*images.split([6, 1])), verbose=False)[0]
        squares = (model(images) - images).detach().square().double().numpy()
        assert results[f"{stage}/loss"] == pytest.approx(squares.sum() / 7, rel=1e-4)
        assert results[f"{stage}/mse"] == pytest.approx(squares.mean(), rel=1e-4)
        assert results[f"{stage}/psnr"] == pytest.approx(-10 * math.log10(squares.mean()), rel=1e-4)
        assert -1 <= results[f"{stage}/ssim"] <= 1


@pytest.mark.parametrize("batch_size", [1, 8])
def test_the_weight_penalty_is_the_sum_by_hand_whatever_the_batch_size(batch_size):
    torch.manual_seed(0)
    penalised = Autoencoder(**SMALL, l1=0.01, l2=0.02)
    torch.manual_seed(0)
    plain = Autoencoder(**SMALL)
    batch = batch_of(torch.rand(batch_size, 2, 4, 5))
    weights = [p.detach().double().numpy() for name, p in plain.named_parameters() if name.endswith("weight")]
    assert len(weights) == 4
    expected = sum(0.01 * np.abs(w).sum() + 0.01 * (w**2).sum() for w in weights)
    difference = penalised.training_step(batch, 0) - plain.training_step(batch, 0)
    assert difference.item() == pytest.approx(expected, rel=1e-4)


def test_the_measured_losses_leave_the_weight_penalty_out():
    penalised = Autoencoder(**SMALL, l1=1.0, l2=1.0)
    images = torch.rand(3, 2, 4, 5)
    expected = (penalised(images) - images).square().sum() / 3
    for step, stage in zip(STEPS, ["train", "val", "test"], strict=True):
        getattr(penalised, step)(batch_of(images), 0)
        torch.testing.assert_close(penalised.means.metrics[f"{stage}/loss"].compute(), expected.detach())


def test_the_anomaly_score_is_the_mean_squared_error_per_image():
    model = Autoencoder(**SMALL)
    images = torch.rand(3, 2, 4, 5)
    expected = [np.mean((a - b) ** 2) for a, b in zip(model(images).detach().numpy(), images.numpy(), strict=True)]
    score = model.anomaly_score(images)
    assert score.tolist() == pytest.approx(expected, rel=1e-4)
    assert not score.requires_grad


def test_a_saved_model_is_restored_without_its_settings(make_trainer, tmp_path):
    model = Autoencoder(**SMALL, architecture="conv", activation="tanh", noise="masking", noise_level=0.2)
    trainer = make_trainer(max_epochs=1, enable_checkpointing=True)
    trainer.fit(model, loader(torch.rand(3, 2, 4, 5)))
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    restored = Autoencoder.load_from_checkpoint(tmp_path / "model.ckpt", map_location="cpu")
    images = torch.rand(3, 2, 4, 5)
    assert torch.equal(restored(images), model(images))
    assert restored.hparams["noise"] == "masking"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((2, 2, 4, 5), math.nan), "NaN or infinite values: repair or remove them"),
        (torch.zeros(2, 1, 4, 5), r"takes images of shape \(2, 4, 5\)"),
        (torch.full((2, 2, 4, 5), 2.0), r"must lie in \[0, 1\].*rescale them"),
        (torch.full((2, 2, 4, 5), -1.0), r"must lie in \[0, 1\].*rescale them"),
    ],
)
@pytest.mark.parametrize("step", STEPS)
def test_images_that_cannot_be_used_are_refused_with_the_way_out(step, images, message):
    with pytest.raises(InputError, match=message):
        getattr(Autoencoder(**SMALL), step)(batch_of(images), 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"latent_dim": 0},
        {"latent_dim": -2},
        {"hidden": (4, 0)},
        {"in_shape": (0, 4, 5)},
        {"noise_level": -0.1},
        {"noise": "masking", "noise_level": 1.1},
        {"noise": "salt_and_pepper", "noise_level": 1.1},
        {"l1": -1.0},
        {"l2": -1.0},
        {"lr": 0.0},
        {"weight_decay": -1.0},
        {"lr_warmup": 1.0},
        {"architecture": "conv", "hidden": (4, 4, 4)},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(InputError):
        Autoencoder(**{**SMALL, **settings})


def test_gaussian_noise_may_be_stronger_than_one_but_must_leave_something_of_the_pixels():
    for level in (1.5, 10.0):
        assert Autoencoder(**SMALL, noise="gaussian", noise_level=level).hparams["noise_level"] == level
    with pytest.raises(
        InputError, match=r"noise_level 10\.5 leaves nothing .* set --model\.noise_level to 10.* or less"
    ):
        Autoencoder(**SMALL, noise="gaussian", noise_level=10.5)


@pytest.mark.parametrize("name", ["architecture", "activation", "upsampling", "noise", "loss", "lr_schedule"])
def test_a_choice_that_does_not_exist_is_refused_instead_of_read_as_another(name):
    with pytest.raises(InputError):
        Autoencoder(**{**SMALL, name: "typo"})
