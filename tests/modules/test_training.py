import itertools
import math
from types import SimpleNamespace

import lightning as L
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from nnzoo.errors import InputError
from nnzoo.modules.autoencoder import Autoencoder
from nnzoo.modules.base import ZooModule
from nnzoo.modules.training import (
    StageMeans,
    check_images,
    check_optimizer,
    configure_optimizer,
    image_metrics,
    schedule_factor,
)
from nnzoo.nets.encoder_decoder import checked_labels

SETTINGS = {"lr": 0.1, "weight_decay": 0.2, "lr_schedule": "constant", "lr_warmup": 0.0}


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0.0, [1] * 9),
        ("constant", 0.5, [1 / 4, 2 / 4, 3 / 4, 1, 1, 1, 1, 1, 1]),
        ("linear", 0.0, [1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0]),
        ("linear", 0.5, [1 / 4, 2 / 4, 3 / 4, 1, 1, 3 / 4, 2 / 4, 1 / 4, 0]),
        ("cosine", 0.5, [1 / 4, 2 / 4, 3 / 4, 1, 1, (2 + math.sqrt(2)) / 4, 1 / 2, (2 - math.sqrt(2)) / 4, 0]),
        ("multistep", 0.0, [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01]),
        ("multistep", 0.25, [1 / 2, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01]),
        ("cosine", 0.0, [math.cos(math.pi * step / 16) ** 2 for step in range(9)]),
    ],
)
def test_the_schedule_warms_up_and_falls_by_hand_computed_factors(schedule, warmup, expected):
    factors = [schedule_factor(step, 8, schedule, warmup) for step in range(9)]
    assert factors == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize(("total", "warmup"), [(1, 0.0), (3, 0.4), (1000, 0.1), (7, 0.99)])
def test_the_rate_is_zero_at_the_end_and_stays_there(schedule, total, warmup):
    factors = [schedule_factor(step, total, schedule, warmup) for step in range(total + 3)]
    assert all(0 < factor <= 1 for factor in factors[:total])
    if round(warmup * total) < total:
        assert factors[total:] == pytest.approx([0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_rate_never_rises_after_the_warmup_and_never_falls_within(schedule):
    factors = np.array([schedule_factor(step, 100, schedule, 0.2) for step in range(101)])
    assert (np.diff(factors[:20]) > 0).all()
    assert (np.diff(factors[20:]) <= 0).all()


def module_with(precision="32-true", steps=8, **settings):
    module = ZooModule()
    module.net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    module.save_hyperparameters({**SETTINGS, **settings})
    module._trainer = SimpleNamespace(precision=precision, estimated_stepping_batches=steps)
    return module


def test_weight_decay_falls_on_matrices_and_kernels_but_not_on_biases_and_norms():
    module = module_with()
    groups = configure_optimizer(module)["optimizer"].param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    expected = {name: 0.2 if name in ("net.0.weight", "net.3.weight") else 0.0 for name, _ in module.named_parameters()}
    assert {name: decay[id(p)] for name, p in module.named_parameters()} == expected
    assert all(group["lr"] == 0.1 for group in groups)


def test_frozen_parameters_are_not_given_to_the_optimiser():
    module = module_with()
    module.net[0].requires_grad_(False)
    given = [p for group in configure_optimizer(module)["optimizer"].param_groups for p in group["params"]]
    assert {id(p) for p in given} == {id(p) for p in module.parameters() if p.requires_grad}


def test_weight_decay_is_decoupled_from_the_gradient():
    module = module_with()
    module.double()
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    configure_optimizer(module)["optimizer"].step()
    for name, parameter in module.named_parameters():
        factor = 1 - 0.1 * 0.2 if name in ("net.0.weight", "net.3.weight") else 1.0
        torch.testing.assert_close(parameter.detach(), factor * before[name])


def test_one_step_equals_torchs_reference_adamw():
    module = module_with()
    copies = [nn.Parameter(p.detach().clone()) for p in module.parameters()]
    decayed = [p for p in copies if p.dim() > 1]
    plain = [p for p in copies if p.dim() <= 1]
    reference = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.2}, {"params": plain, "weight_decay": 0.0}], lr=0.1, foreach=False
    )
    optimizer = configure_optimizer(module)["optimizer"]
    for _ in range(3):
        for parameter, copy in zip(module.parameters(), copies, strict=True):
            parameter.grad = torch.randn_like(parameter)
            copy.grad = parameter.grad.clone()
        optimizer.step()
        reference.step()
    for parameter, copy in zip(module.parameters(), copies, strict=True):
        torch.testing.assert_close(parameter, copy)


@pytest.mark.parametrize(("precision", "fused"), [("32-true", True), ("bf16-mixed", True), ("16-mixed", False)])
def test_the_fused_kernel_is_left_out_only_where_float16_gradients_are_scaled(precision, fused):
    groups = configure_optimizer(module_with(precision))["optimizer"].param_groups
    assert all(bool(group["fused"]) is fused for group in groups)


def test_a_constant_rate_without_warmup_has_no_scheduler_and_needs_no_end():
    assert set(configure_optimizer(module_with(steps=math.inf))) == {"optimizer"}


@pytest.mark.parametrize("settings", [{"lr_schedule": "cosine"}, {"lr_schedule": "linear"}, {"lr_warmup": 0.1}])
def test_a_schedule_without_an_end_is_refused(settings):
    with pytest.raises(InputError, match=r"--trainer.max_epochs or --trainer.max_steps"):
        configure_optimizer(module_with(steps=math.inf, **settings))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_fit_uses_the_scheduled_rate_at_every_optimiser_step_and_ends_at_zero(make_trainer, accumulate):
    rates = []

    class Recorder(Autoencoder):
        def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure=None):
            rates.append([group["lr"] for group in optimizer.param_groups])
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)

    model = Recorder(
        in_shape=(1, 4, 4), latent_dim=2, hidden=(4,), lr=0.01, lr_schedule="linear", lr_warmup=0.25, weight_decay=0.1
    )
    batches = [(torch.rand(2, 1, 4, 4), torch.zeros(2))] * 4 * accumulate
    trainer = make_trainer(max_epochs=2, accumulate_grad_batches=accumulate)
    trainer.fit(model, DataLoader(batches, batch_size=None))
    expected = [0.5, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert [rate[0] for rate in rates] == pytest.approx([0.01 * factor for factor in expected])
    assert all(rate[0] == rate[1] for rate in rates)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0.0}, "lr must be above 0"),
        ({"lr": -1.0}, "--model.lr"),
        ({"lr": math.nan}, "lr must be above 0"),
        ({"weight_decay": -0.1}, "weight_decay must not be negative"),
        ({"lr_warmup": 1.0}, "below 1"),
        ({"lr_warmup": -0.1}, "lr_warmup"),
    ],
)
def test_optimiser_settings_out_of_range_are_refused(settings, message):
    check_optimizer(SETTINGS)
    with pytest.raises(InputError, match=message):
        check_optimizer({**SETTINGS, **settings})


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


def draws(rank, batch_idx):
    module = SimpleNamespace(device=torch.device("cpu"), _trainer=object(), global_rank=rank)
    return tuple(torch.rand(4, generator=ZooModule.evaluation_generator(module, batch_idx)).tolist())


def test_evaluation_noise_is_the_same_every_time_but_differs_between_batches_and_devices():
    pairs = list(itertools.product(range(4), range(10)))
    first = {pair: draws(*pair) for pair in pairs}
    assert first == {pair: draws(*pair) for pair in pairs}
    assert len(set(first.values())) == len(pairs)


def test_evaluation_noise_leaves_the_global_generator_alone_and_works_without_a_trainer():
    before = torch.get_rng_state()
    module = ZooModule()
    first = torch.rand(4, generator=module.evaluation_generator(3))
    torch.manual_seed(99)
    assert torch.equal(torch.rand(4, generator=module.evaluation_generator(3)), first)
    torch.set_rng_state(before)
    module.evaluation_generator(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_stage_means_equal_the_mean_over_all_samples_of_unequal_batches():
    means = StageMeans({"train": ["loss"], "val": ["loss", "kl"]})
    batches = [np.random.default_rng(size).normal(size=size).astype(np.float32) for size in (7, 1, 3)]
    for batch in batches:
        means.update("val", {"loss": torch.from_numpy(batch), "kl": torch.from_numpy(batch**2), "other": torch.ones(1)})
    values = np.concatenate(batches)
    assert set(means.metrics) == {"train/loss", "val/loss", "val/kl"}
    assert means.metrics["val/loss"].compute().item() == pytest.approx(values.mean(), rel=1e-5)
    assert means.metrics["val/kl"].compute().item() == pytest.approx((values**2).mean(), rel=1e-5)
    assert means.metrics["train/loss"].weight == 0


def test_stage_means_do_not_hide_a_nan_and_hold_no_graph():
    means = StageMeans({"val": ["loss"]})
    means.update("val", {"loss": torch.tensor([1.0, math.nan], requires_grad=True)})
    value = means.metrics["val/loss"].compute()
    assert value.isnan()
    assert not value.requires_grad


class Counter(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.means = StageMeans({"train": ["loss"], "val": ["loss"]})

    def training_step(self, batch, batch_idx):
        self.means.update("train", {"loss": batch + 100 * self.current_epoch})
        return self.weight

    def validation_step(self, batch, batch_idx):
        self.means.update("val", {"loss": batch})

    def on_train_epoch_end(self):
        self.means.log(self, "train")

    def on_validation_epoch_end(self):
        self.means.log(self, "val")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def test_logged_means_start_afresh_every_epoch_and_count_every_validation_sample_once(make_trainer):
    seen = []

    class Reader(L.Callback):
        def on_train_epoch_end(self, trainer, module):
            seen.append({name: value.item() for name, value in trainer.callback_metrics.items()})

    batches = DataLoader([torch.arange(5.0), torch.tensor([10.0])], batch_size=None)
    trainer = make_trainer(max_epochs=3, callbacks=[Reader()], num_sanity_val_steps=1)
    trainer.fit(Counter(), batches, batches)
    assert [row["val/loss"] for row in seen] == pytest.approx([20 / 6] * 3)
    assert trainer.callback_metrics["train/loss"].item() == pytest.approx(200 + 20 / 6)


def psnr_by_hand(preds, images):
    return 10 * np.log10(1 / np.mean((preds - images) ** 2))


def window_of(side, uniform):
    if uniform:
        return np.full((side, side), 1 / side**2)
    profile = np.exp(-0.5 * ((np.arange(side) - side // 2) / 1.5) ** 2)
    return np.outer(profile, profile) / profile.sum() ** 2


def ssim_by_hand(preds, images, window):
    """Wang et al. 2004, equation 13, averaged over all pixels, with the image mirrored at its borders."""
    side, c1, c2 = len(window), 0.01**2, 0.03**2
    margin = [(0, 0), (0, 0), *[(side // 2, side // 2)] * 2]
    preds, images = (np.pad(array, margin, mode="reflect") for array in (preds, images))
    positions = [(row, column) for row, column in np.ndindex(images.shape[2] - side + 1, images.shape[3] - side + 1)]
    values = []
    for image, channel in np.ndindex(images.shape[:2]):
        for row, column in positions:
            p, q = (a[image, channel, row : row + side, column : column + side] for a in (preds, images))
            mu_p, mu_q = (window * p).sum(), (window * q).sum()
            var_p, var_q = (window * (p - mu_p) ** 2).sum(), (window * (q - mu_q) ** 2).sum()
            cov = (window * (p - mu_p) * (q - mu_q)).sum()
            values.append((2 * mu_p * mu_q + c1) * (2 * cov + c2) / ((mu_p**2 + mu_q**2 + c1) * (var_p + var_q + c2)))
    return np.mean(values)


def measure(shape):
    """Metrics of noisy images with dark borders, in two unequal batches: (values, reconstructions, images)."""
    images = torch.rand(5, *shape) * torch.linspace(0, 1, shape[1]).view(-1, 1) ** 2
    preds = (images + 0.2 * torch.randn(5, *shape)).clamp(0, 1)
    metrics = image_metrics(shape)
    for rows in (slice(0, 4), slice(4, 5)):
        metrics.update(preds[rows], images[rows])
    values = {name: value.item() for name, value in metrics.compute().items()}
    return values, preds.double().numpy(), images.double().numpy()


@pytest.mark.parametrize("shape", [(1, 12, 12), (2, 13, 15), (1, 8, 8), (3, 4, 4), (1, 1, 1)])
def test_mse_and_psnr_equal_their_formulas_over_unequal_batches(shape):
    values, preds, images = measure(shape)
    assert values["mse"] == pytest.approx(np.mean((preds - images) ** 2), rel=1e-5)
    assert values["psnr"] == pytest.approx(psnr_by_hand(preds, images), rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "side", "uniform"),
    [
        ((1, 12, 12), 11, False),
        ((2, 13, 15), 11, False),
        ((1, 8, 8), 11, False),
        ((3, 6, 9), 11, False),
        ((1, 5, 7), 3, True),
        ((1, 2, 2), 3, True),
        ((1, 1, 1), 1, True),
    ],
)
def test_ssim_equals_its_formula_over_windows_around_every_pixel(shape, side, uniform):
    values, preds, images = measure(shape)
    assert values["ssim"] == pytest.approx(ssim_by_hand(preds, images, window_of(side, uniform)), abs=1e-4)


def test_a_perfect_reconstruction_has_ssim_one():
    metrics = image_metrics((1, 8, 8))
    images = torch.rand(2, 1, 8, 8)
    metrics.update(images, images)
    assert metrics.compute()["ssim"].item() == pytest.approx(1, abs=1e-5)


def test_means_are_weighted_where_weights_are_given():
    means = StageMeans({"val": ["loss"]})
    means.update("val", {"loss": torch.tensor([1.0, 2.0])}, torch.tensor([3, 1]))
    means.update("val", {"loss": torch.tensor([10.0])}, torch.tensor([4]))
    assert float(means.metrics["val/loss"].compute()) == pytest.approx(np.average([1, 2, 10], weights=[3, 1, 4]))
    means.update("val", {"loss": torch.tensor([7.0])})
    assert float(means.metrics["val/loss"].compute()) == pytest.approx(np.average([1, 2, 10, 7], weights=[3, 1, 4, 1]))
