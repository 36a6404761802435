import math

import pytest
import torch
from torch.utils.data import DataLoader

from nnzoo.errors import InputError
from nnzoo.modules.vae import VAE
from support.image_batches import STEPS, batch_of, loader
from support.small_vae import LIKELIHOODS, SMALL, fix_noise, images_for, seeded, small


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_an_evaluation_gives_the_same_numbers_whatever_the_global_generator(make_trainer, likelihood):
    model, trainer = small(likelihood), make_trainer()
    batches = loader(images_for(likelihood), images_for(likelihood))
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        results.append(trainer.test(model, batches, verbose=False)[0])
    assert results[0] == results[1]
    assert set(results[0]) == {
        f"test/{name}" for name in ("loss", "reconstruction", "kl", "elbo", "nll", "bits_per_dim")
    }


@pytest.mark.parametrize("step", ["validation_step", "test_step"])
def test_evaluation_leaves_the_noise_of_the_training_alone(step):
    model, images = small("gaussian"), images_for("gaussian")
    before = torch.get_rng_state()
    getattr(model, step)(batch_of(images), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_averages_over_samples_not_over_batches(make_trainer, monkeypatch):
    fix_noise(monkeypatch)
    model, images = small().eval(), images_for("discretized_logistic", 7)
    results = make_trainer().validate(model, loader(*images.split([6, 1])), verbose=False)[0]
    for name, values in model.loss_terms(images).items():
        assert results[f"val/{name}"] == pytest.approx(values.mean().item(), rel=1e-5)


def test_a_fit_raises_the_bound_on_a_data_set_with_structure(make_trainer):
    rows = torch.eye(4).repeat(16, 1).view(64, 1, 2, 2)
    model = VAE(in_shape=(1, 2, 2), levels=2, latent_dim=2, hidden=(16,), likelihood="bernoulli", lr=0.03)
    make_trainer(max_epochs=1).fit(model, loader(*[rows] * 200))
    # Independent pixels with the right means cost 4 H(1/4) = 2.25 nats; the entropy of the data is log 4 = 1.39 nats.
    nll = -model.eval().log_likelihood(rows, num_samples=200, generator=seeded()).mean().item()
    assert math.log(4) - 0.05 < nll < 2.1


def test_a_saved_model_is_restored_without_its_settings(make_trainer, tmp_path):
    model = small(conditional=True, num_classes=2, architecture="conv", beta=0.5)
    images, labels = images_for("discretized_logistic"), torch.tensor([0, 1, 1, 0])
    trainer = make_trainer(max_epochs=1, enable_checkpointing=True)
    trainer.fit(model, DataLoader([(images, labels)], batch_size=None))
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    restored = VAE.load_from_checkpoint(tmp_path / "model.ckpt", map_location="cpu")
    assert torch.equal(restored(images, labels), model(images, labels))
    assert restored.hparams["beta"] == 0.5


# Input that cannot be used


@pytest.mark.parametrize(
    ("likelihood", "images", "message"),
    [
        ("gaussian", torch.full((2, 2, 3, 4), math.nan), "NaN or infinite values: repair or remove them"),
        ("gaussian", torch.zeros(2, 1, 3, 4), r"takes images of shape \(2, 3, 4\).*set --data.image_size"),
        ("gaussian", torch.full((2, 2, 3, 4), 2.0), r"must lie in \[0, 1\].*rescale them"),
        ("discretized_logistic", torch.full((2, 2, 3, 4), -1.0), r"must lie in \[0, 1\].*rescale them"),
        ("bernoulli", torch.full((2, 2, 3, 4), 0.5), "set --data.binarize dynamic, or --model.likelihood"),
    ],
)
@pytest.mark.parametrize("step", STEPS)
def test_images_that_cannot_be_used_are_refused_with_the_way_out(step, likelihood, images, message):
    with pytest.raises(InputError, match=message):
        getattr(small(likelihood), step)(batch_of(images), 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent_dim": 0}, "latent_dim must be positive"),
        ({"latent_dim": -1}, "latent_dim must be positive"),
        ({"num_importance_samples": 0}, "num_importance_samples must be positive"),
        ({"num_nll_samples": 0}, "num_nll_samples must be positive"),
        ({"hidden": (4, 0)}, "hidden must be positive"),
        ({"in_shape": (0, 3, 4)}, "in_shape must be positive"),
        ({"alpha_rec": -1.0}, "must not be negative"),
        ({"beta": -1.0}, "must not be negative"),
        ({"kl_warmup_epochs": -1.0}, "must not be negative"),
        ({"free_bits": -1.0}, "must not be negative"),
        ({"free_bits": 0.1, "num_importance_samples": 2}, "free_bits is defined for the ELBO only"),
        ({"conditional": True}, "conditional needs classes"),
        ({"levels": 2}, "--model.likelihood bernoulli"),
        ({"levels": 1}, "levels"),
        ({"levels": 0}, "levels"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"lr_warmup": 1.0}, "lr_warmup"),
        ({"architecture": "conv", "hidden": (4, 4)}, "at most 1 stride-2 stages"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        VAE(**{**SMALL, **settings})


@pytest.mark.parametrize("name", ["architecture", "activation", "upsampling", "likelihood", "lr_schedule"])
def test_a_choice_that_does_not_exist_is_refused_instead_of_read_as_another(name):
    with pytest.raises(InputError):
        VAE(**{**SMALL, name: "typo"})
